"""Edited copies of pictures, graded in strength and reproducible by seed: the raw material of every accuracy figure.

Written apart from `pipeline.training.augment` (other library, other parameters) so that the recipe is not judged
by its own edits. Works on uint8 RGB arrays `[h, w, 3]`; imports neither torch nor faiss.
"""

from __future__ import annotations

import argparse
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Pixels = NDArray[np.uint8]

_EMOJI = ("happy", "sad", "heart", "star", "badge")
_WORDS = (
    "sale", "new", "best", "summer", "offer", "today", "look", "this", "one", "never", "before", "my", "holiday",
    "when", "you", "see", "it", "free", "copy", "draft",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class How:
    """Hold what an edit needs besides the picture: chance, strength, and another picture to paste from."""

    rng: Generator
    grade: float
    donor: Image.Image


Apply = Callable[[Image.Image, How], Image.Image]


@dataclass(frozen=True, slots=True)
class Kind:
    """Describe one kind of edit: its grades from mild to hard, and whether it adds something locally.

    `pastes` says that the copy shows another picture as well.
    """

    name: str
    grades: tuple[float, ...]
    apply: Apply
    local: bool = False
    pastes: bool = False


def edited_copy(image: Pixels, kind: Kind, grade: int, seed: int, donor: Pixels) -> Pixels:
    """Return the copy of `image` that `kind`, grade number `grade` and `seed` stand for; `donor` is another picture."""
    rng = np.random.default_rng((zlib.crc32(kind.name.encode()), grade, seed))
    result = kind.apply(Image.fromarray(image), How(rng, kind.grades[grade], Image.fromarray(donor)))
    return np.asarray(result.convert("RGB"), dtype=np.uint8)


def random_grade(kind: Kind, seed: int) -> int:
    """Return a grade number of `kind`, evenly spread over the grades, the same for the same seed."""
    return int(np.random.default_rng((zlib.crc32(kind.name.encode()), seed)).integers(0, len(kind.grades)))


def written(image: Image.Image, form: str, quality: int) -> bytes:
    """Return the picture as a file of a format; PNG takes `quality` as its number of colours, 0 for all."""
    buffer = io.BytesIO()
    if form == "PNG":
        (image.quantize(quality) if quality else image).save(buffer, form)
    elif form == "AVIF":
        image.save(buffer, form, quality=quality, speed=8, max_threads=1)  # several threads write several files
    else:
        image.save(buffer, form, quality=quality)
    return buffer.getvalue()


def encoded(image: Image.Image, form: str, quality: int) -> Image.Image:
    """Write and read the picture once in a lossy format."""
    return Image.open(io.BytesIO(written(image, form, quality))).convert("RGB")


def _same(image: Image.Image, _how: How) -> Image.Image:
    return image


def _resize(image: Image.Image, how: How) -> Image.Image:
    ways = (Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.BOX)
    size = (max(16, round(image.width * how.grade)), max(16, round(image.height * how.grade)))
    return image.resize(size, ways[int(how.rng.integers(0, 3))])


def _jpeg(image: Image.Image, how: How) -> Image.Image:
    return encoded(image, "JPEG", int(how.grade))


def _webp(image: Image.Image, how: How) -> Image.Image:
    return encoded(image, "WEBP", int(how.grade))


def _avif(image: Image.Image, how: How) -> Image.Image:
    return encoded(image, "AVIF", int(how.grade))


def _png(image: Image.Image, how: How) -> Image.Image:
    return encoded(image, "PNG", int(how.grade))


def _upscaled(image: Image.Image, how: How) -> Image.Image:
    """Shrink to `grade` of the side and enlarge back: as many pixels as before, less in them."""
    size = (max(16, round(image.width * how.grade)), max(16, round(image.height * how.grade)))
    return image.resize(size, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def _crop(image: Image.Image, how: How) -> Image.Image:
    """Keep the share `grade` of the area."""
    aspect = float(np.exp(how.rng.uniform(-0.25, 0.25)))
    width = min(image.width, max(16, round(image.width * np.sqrt(how.grade) * aspect)))
    height = min(image.height, max(16, round(image.width * image.height * how.grade / width)))
    left = int(how.rng.integers(0, image.width - width + 1))
    top = int(how.rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _rotate(image: Image.Image, how: How) -> Image.Image:
    angle = how.grade * float(how.rng.uniform(0.75, 1.0)) * (1 if how.rng.random() < 0.5 else -1)
    style = int(how.rng.integers(0, 3))
    fill = tuple(int(c) for c in how.rng.choice((0, 255), 1).repeat(3))
    turned = image.rotate(angle, Image.Resampling.BICUBIC, expand=style == 1, fillcolor=fill)
    if style != 2:
        return turned
    # Cut the largest inner window of the same aspect, as phones do when they straighten a picture.
    radians = abs(np.deg2rad(angle))
    longest = max(image.width / image.height, image.height / image.width)
    scale = 1.0 / (np.cos(radians) + longest * np.sin(radians))
    width, height = int(image.width * scale), int(image.height * scale)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return turned.crop((left, top, left + width, top + height))


def _quarter(image: Image.Image, how: How) -> Image.Image:
    return image.rotate(how.grade, expand=True)


def _mirror(image: Image.Image, how: How) -> Image.Image:
    return ImageOps.mirror(image) if how.grade < 0.5 else ImageOps.flip(image)


def _colour(image: Image.Image, how: How) -> Image.Image:
    """Change saturation, white balance and hue together."""
    way = 1 if how.rng.random() < 0.5 else -1
    saturated = ImageEnhance.Color(image).enhance(1 + way * how.grade)
    hue, saturation, value = saturated.convert("HSV").split()
    shift = int(how.rng.uniform(-1, 1) * 30 * how.grade)
    hue = hue.point([(v + shift) % 256 for v in range(256)])
    warm = 1 + float(how.rng.uniform(-0.3, 0.3)) * how.grade
    red, green, blue = Image.merge("HSV", (hue, saturation, value)).convert("RGB").split()
    red = red.point([min(255, int(v * warm)) for v in range(256)])
    return Image.merge("RGB", (red, green, blue.point([min(255, int(v / warm)) for v in range(256)])))


def _grey(image: Image.Image, how: How) -> Image.Image:
    grey = ImageOps.grayscale(image)
    if how.grade < 0.5:
        return grey.convert("RGB")
    return ImageOps.colorize(grey, (30, 15, 5), (255, 240, 210))


def _gamma(image: Image.Image, how: How) -> Image.Image:
    power = how.grade if how.rng.random() < 0.5 else 1 / how.grade
    return image.point([round(255 * (v / 255) ** power) for v in range(256)] * 3)


def _light(image: Image.Image, how: How) -> Image.Image:
    """Change brightness and contrast."""
    way = 1 if how.rng.random() < 0.5 else -0.6
    brighter = ImageEnhance.Brightness(image).enhance(1 + way * how.grade)
    return ImageEnhance.Contrast(brighter).enhance(1 + float(how.rng.uniform(-0.6, 0.8)) * how.grade)


def _blur(image: Image.Image, how: How) -> Image.Image:
    """Blur by `grade` percent of the long side: a radius in pixels means little without the size."""
    return image.filter(ImageFilter.GaussianBlur(how.grade / 100 * max(image.size)))


def _sharpen(image: Image.Image, how: How) -> Image.Image:
    radius = max(1.0, max(image.size) / 250)
    return image.filter(ImageFilter.UnsharpMask(radius=radius, percent=int(how.grade), threshold=0))


def _noise(image: Image.Image, how: How) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noisy = pixels + how.rng.normal(0, how.grade, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(6.0, size))


def _text(image: Image.Image, how: How) -> Image.Image:
    """Write lines whose letters are `grade` of the height; a meme has large ones, a watermark small ones."""
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas)
    size = how.grade * image.height
    for place in (0.04, 0.8) if how.rng.random() < 0.6 else (float(how.rng.uniform(0.2, 0.7)),):
        words = " ".join(how.rng.choice(_WORDS, int(how.rng.integers(2, 6))))
        words = words.upper() if how.rng.random() < 0.5 else words
        left = float(how.rng.uniform(0.02, 0.25)) * image.width
        edge = max(1, int(size / 14))
        pen.text((left, place * image.height), words, "white", _font(size), stroke_width=edge, stroke_fill="black")
    return canvas


def _logo(image: Image.Image, how: How) -> Image.Image:
    """Put emoji-like figures or badges of `grade` times the short side on the picture."""
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(how.rng.integers(1, 4))):
        side = how.grade * min(image.size)
        left = float(how.rng.uniform(0, max(1.0, image.width - side)))
        top = float(how.rng.uniform(0, max(1.0, image.height - side)))
        _figure(pen, str(how.rng.choice(_EMOJI)), left, top, side)
    return canvas


def _figure(pen: ImageDraw.ImageDraw, name: str, left: float, top: float, side: float) -> None:
    box = (left, top, left + side, top + side)

    def at(x: float, y: float) -> tuple[float, float]:
        return (left + x * side, top + y * side)

    if name in ("happy", "sad"):
        pen.ellipse(box, "#ffcc33", "#996600")
        for x in (0.32, 0.68):
            pen.ellipse((*at(x - 0.06, 0.3), *at(x + 0.06, 0.46)), "#553300")
        start, down = (20, 0.45) if name == "happy" else (200, 0.62)
        pen.arc((*at(0.25, down - 0.1), *at(0.75, down + 0.3)), start, start + 140, "#553300", max(1, int(side / 16)))
    elif name == "heart":
        pen.ellipse((*at(0, 0), *at(0.55, 0.55)), "#dd2233")
        pen.ellipse((*at(0.45, 0), *at(1, 0.55)), "#dd2233")
        pen.polygon([at(0.04, 0.4), at(0.96, 0.4), at(0.5, 1)], "#dd2233")
    elif name == "star":
        angles, radii = np.arange(10) * np.pi / 5, np.tile((0.5, 0.2), 5)
        tips = zip(0.5 + radii * np.sin(angles), 0.5 - radii * np.cos(angles), strict=True)
        pen.polygon([at(float(x), float(y)) for x, y in tips], "#ffee44", "#aa7700")
    else:
        pen.rounded_rectangle((left, top, left + side * 1.6, top + side * 0.6), side / 8, "#1155cc")
        pen.text(at(0.15, 0.1), "NEW", "white", _font(side * 0.35))


def _border(image: Image.Image, how: How) -> Image.Image:
    hue = ("white", "black", "#808080", "#b03030", "#205080")[int(how.rng.integers(0, 5))]
    return ImageOps.expand(image, max(1, int(how.grade * min(image.size))), hue)


def _letterbox(image: Image.Image, how: How) -> Image.Image:
    hue = "black" if how.rng.random() < 0.7 else "white"
    across = how.rng.random() < 0.5
    side = (int(how.grade * image.width), 0) if across else (0, int(how.grade * image.height))
    return ImageOps.expand(image, (side[0], side[1], side[0], side[1]), hue)


def _inset(image: Image.Image, how: How) -> Image.Image:
    """Paste the picture at `grade` of the side onto another picture."""
    canvas = ImageOps.fit(how.donor, image.size)
    size = (max(16, int(image.width * how.grade)), max(16, int(image.height * how.grade)))
    left = int(how.rng.integers(0, image.width - size[0] + 1))
    top = int(how.rng.integers(0, image.height - size[1] + 1))
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
    return canvas


def _collage(image: Image.Image, how: How) -> Image.Image:
    """Put another picture over a corner: the reverse of `_inset`."""
    canvas = image.copy()
    size = (max(8, int(image.width * how.grade)), max(8, int(image.height * how.grade)))
    corner = (int(how.rng.choice((0, image.width - size[0]))), int(how.rng.choice((0, image.height - size[1]))))
    canvas.paste(ImageOps.fit(how.donor, size), corner)
    return canvas


def _screenshot(image: Image.Image, how: How) -> Image.Image:
    """Show the picture in an application; `grade` is the share of the screen's height around it."""
    dark = how.rng.random() < 0.5
    paper, ink = ("#15181c", "#d0d4d8") if dark else ("#fafafa", "#202428")
    top, bottom = int(image.height * how.grade * 0.5), int(image.height * how.grade * how.rng.uniform(0.4, 0.9))
    margin = int(image.width * float(how.rng.choice((0.0, 0.03, 0.06))))
    page = Image.new("RGB", (image.width + 2 * margin, image.height + top + bottom), paper)
    page.paste(image, (margin, top))
    pen = ImageDraw.Draw(page)
    size = max(7.0, page.height * 0.025)
    pen.text((size, size * 0.4), "09:41", ink, _font(size))
    pen.text((page.width - 5 * size, size * 0.4), "LTE 84%", ink, _font(size * 0.8))
    if top > 4 * size:
        pen.ellipse((size, top - 3 * size, 3 * size, top - size), "#4a90d9")
        pen.text((4 * size, top - 2.6 * size), "holiday_pictures", ink, _font(size))
    line = top + image.height + size * 0.6
    while line < page.height - size:
        pen.text((size, line), " ".join(how.rng.choice(_WORDS, int(how.rng.integers(3, 9)))), ink, _font(size))
        line += size * 1.5
    return page


def _scan(image: Image.Image, how: How) -> Image.Image:
    """Print and photograph: perspective, uneven light, faded tones, blur, grain, compression."""
    width, height = image.size
    shift = how.rng.uniform(0, 0.06 * how.grade, 8) * np.array([width, height] * 4)
    signs = np.array([-1, -1, -1, 1, 1, 1, 1, -1])
    corners = np.array([0, 0, 0, height, width, height, width, 0], float) + signs * shift
    quad = tuple(float(value) for value in corners)
    paper = image.transform(image.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC, fillcolor="#d8d4cc")
    pixels = np.asarray(paper, np.float32)
    slope = 1 + how.grade * 0.15 * (np.linspace(-1, 1, width)[None, :, None] * how.rng.uniform(-1, 1))
    faded = (pixels * (1 - 0.1 * how.grade) + 16 * how.grade) * slope * (1 - np.array([0, 0.02, 0.06]) * how.grade)
    faded += how.rng.normal(0, 3 * how.grade, pixels.shape)
    soft = Image.fromarray(np.clip(faded, 0, 255).astype(np.uint8))
    return encoded(soft.filter(ImageFilter.GaussianBlur(0.002 * how.grade * max(image.size))), "JPEG", 70)


def _combination(image: Image.Image, how: How) -> Image.Image:
    """Apply `grade` edits one after the other, then the JPEG that ends every such chain."""
    steps: tuple[tuple[Apply, float], ...] = (
        (_crop, 0.7), (_rotate, 8), (_mirror, 0), (_colour, 0.4), (_light, 0.3), (_text, 0.09),
        (_logo, 0.2), (_border, 0.06), (_resize, 0.5), (_noise, 10), (_gamma, 1.4), (_blur, 0.4), (_screenshot, 0.3),
    )  # fmt: skip
    for index in sorted(how.rng.choice(len(steps), int(how.grade), replace=False)):
        apply, strength = steps[int(index)]
        image = apply(image, How(how.rng, strength, how.donor))
    return encoded(image, "JPEG", int(how.rng.integers(35, 85)))


KINDS: tuple[Kind, ...] = (
    Kind("metadata", (0.0, 1.0), _same),  # as a file: stripped; written again without loss
    Kind("resize", (0.75, 2.0, 0.5, 0.25), _resize),
    Kind("jpeg", (95, 60, 30, 15, 8), _jpeg),
    Kind("webp", (80, 40, 10), _webp),
    Kind("avif", (80, 50, 25), _avif),
    Kind("png", (256, 64), _png),
    Kind("upscaled", (0.5, 0.25), _upscaled),
    Kind("crop-90", (0.9,), _crop),
    Kind("crop-70", (0.7,), _crop),
    Kind("crop-50", (0.5,), _crop),
    Kind("crop-30", (0.3,), _crop),
    Kind("rotate-mild", (1, 3, 5), _rotate),
    Kind("rotate-hard", (10, 15, 20), _rotate),
    Kind("quarter-turn", (90, 180, 270), _quarter),
    Kind("mirror", (0.0, 0.0, 0.0, 1.0), _mirror),
    Kind("colour", (0.3, 0.6, 0.9), _colour),
    Kind("grey", (0.0, 1.0), _grey),
    Kind("gamma", (1.3, 1.7, 2.3), _gamma),
    Kind("light", (0.2, 0.4, 0.6), _light),
    Kind("blur", (0.3, 0.7, 1.2), _blur),
    Kind("sharpen", (80, 200, 400), _sharpen),
    Kind("noise", (6, 15, 30), _noise),
    Kind("text", (0.04, 0.09, 0.16), _text, local=True),
    Kind("logo", (0.12, 0.22, 0.35), _logo, local=True),
    Kind("border", (0.02, 0.06, 0.12), _border),
    Kind("letterbox", (0.08, 0.16, 0.3), _letterbox),
    Kind("inset", (0.85, 0.7, 0.5), _inset, local=True, pastes=True),
    Kind("collage", (0.25, 0.4, 0.55), _collage, local=True, pastes=True),
    Kind("screenshot", (0.2, 0.5, 0.9), _screenshot, local=True),
    Kind("scan", (0.5, 1.0, 1.8), _scan),
    Kind("combination-2", (2.0,), _combination, local=True),
    Kind("combination-4", (4.0,), _combination, local=True),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the kinds; with `--picture` write one copy of each kind and grade, and a JSON list, to `--out`."""
    made = argparse.ArgumentParser(prog="python -m bench.copies", description=main.__doc__)
    made.add_argument("--picture", type=Path, help="picture to edit")
    made.add_argument("--donor", type=Path, help="picture that is pasted in (default: the picture itself)")
    made.add_argument("--out", type=Path, default=Path("bench/results/copies"))
    made.add_argument("--seed", type=int, default=0)
    options = made.parse_args(arguments)
    for kind in KINDS:
        print(f"{kind.name:16s} {'local ' if kind.local else '      '}{', '.join(f'{g:g}' for g in kind.grades)}")
    if options.picture is None:
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    image = np.asarray(Image.open(options.picture).convert("RGB"))
    donor = np.asarray(Image.open(options.donor or options.picture).convert("RGB"))
    rows = []
    for kind in KINDS:
        for grade, value in enumerate(kind.grades):
            name = f"{kind.name}-{grade}.png"
            Image.fromarray(edited_copy(image, kind, grade, options.seed, donor)).save(options.out / name)
            rows.append({"file": name, "kind": kind.name, "grade": value, "local": kind.local})
    (options.out / "copies.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
