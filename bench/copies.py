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
Apply = Callable[[Image.Image, Generator, float, Image.Image], Image.Image]

_EMOJI = ("happy", "sad", "heart", "star", "badge")
_WORDS = "sale new best summer offer today look this one never before my holiday when you see it free copy draft".split()


@dataclass(frozen=True, slots=True)
class Kind:
    """Describe one kind of edit: its grades from mild to hard, and whether it adds something locally."""

    name: str
    grades: tuple[float, ...]
    apply: Apply
    local: bool = False


def edited_copy(image: Pixels, kind: Kind, grade: int, seed: int, donor: Pixels) -> Pixels:
    """Return the copy of `image` that `kind`, grade number `grade` and `seed` stand for; `donor` is another picture."""
    rng = np.random.default_rng((zlib.crc32(kind.name.encode()), grade, seed))
    result = kind.apply(Image.fromarray(image), rng, kind.grades[grade], Image.fromarray(donor))
    return np.asarray(result.convert("RGB"), dtype=np.uint8)


def random_grade(kind: Kind, seed: int) -> int:
    """Return a grade number of `kind`, evenly spread over the grades, the same for the same seed."""
    return int(np.random.default_rng((zlib.crc32(kind.name.encode()), seed)).integers(0, len(kind.grades)))


def encoded(image: Image.Image, form: str, quality: int) -> Image.Image:
    """Write and read the picture once in a lossy format."""
    buffer = io.BytesIO()
    image.save(buffer, form, quality=quality)
    return Image.open(buffer).convert("RGB")


def _same(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return image


def _resize(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    ways = (Image.Resampling.LANCZOS, Image.Resampling.BILINEAR, Image.Resampling.BOX)
    size = (max(16, round(image.width * grade)), max(16, round(image.height * grade)))
    return image.resize(size, ways[int(rng.integers(0, 3))])


def _jpeg(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return encoded(image, "JPEG", int(grade))


def _webp(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return encoded(image, "WEBP", int(grade))


def _crop(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Keep the share `grade` of the area."""
    aspect = float(np.exp(rng.uniform(-0.25, 0.25)))
    width = min(image.width, max(16, round(image.width * np.sqrt(grade) * aspect)))
    height = min(image.height, max(16, round(image.width * image.height * grade / width)))
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _rotate(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    angle = grade * float(rng.uniform(0.75, 1.0)) * (1 if rng.random() < 0.5 else -1)
    style = int(rng.integers(0, 3))
    fill = tuple(int(c) for c in rng.choice((0, 255), 1).repeat(3))
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


def _quarter(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return image.rotate(grade, expand=True)


def _mirror(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return ImageOps.mirror(image) if grade < 0.5 else ImageOps.flip(image)


def _colour(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Change saturation, white balance and hue together."""
    way = 1 if rng.random() < 0.5 else -1
    saturated = ImageEnhance.Color(image).enhance(1 + way * grade)
    hue, saturation, value = saturated.convert("HSV").split()
    shift = int(rng.uniform(-1, 1) * 30 * grade)
    hue = hue.point([(v + shift) % 256 for v in range(256)])
    warm = 1 + float(rng.uniform(-0.3, 0.3)) * grade
    red, green, blue = Image.merge("HSV", (hue, saturation, value)).convert("RGB").split()
    red = red.point([min(255, int(v * warm)) for v in range(256)])
    return Image.merge("RGB", (red, green, blue.point([min(255, int(v / warm)) for v in range(256)])))


def _grey(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    grey = ImageOps.grayscale(image)
    if grade < 0.5:
        return grey.convert("RGB")
    return ImageOps.colorize(grey, (30, 15, 5), (255, 240, 210))


def _gamma(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    power = grade if rng.random() < 0.5 else 1 / grade
    return image.point([round(255 * (v / 255) ** power) for v in range(256)] * 3)


def _light(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Change brightness and contrast."""
    way = 1 if rng.random() < 0.5 else -0.6
    brighter = ImageEnhance.Brightness(image).enhance(1 + way * grade)
    return ImageEnhance.Contrast(brighter).enhance(1 + float(rng.uniform(-0.6, 0.8)) * grade)


def _blur(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Blur by `grade` percent of the long side: a radius in pixels means little without the size."""
    return image.filter(ImageFilter.GaussianBlur(grade / 100 * max(image.size)))


def _sharpen(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(radius=max(1.0, max(image.size) / 250), percent=int(grade), threshold=0))


def _noise(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noisy = pixels + rng.normal(0, grade, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(6.0, size))


def _text(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Write lines whose letters are `grade` of the height; a meme has large ones, a watermark small ones."""
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas)
    size = grade * image.height
    for place in (0.04, 0.8) if rng.random() < 0.6 else (float(rng.uniform(0.2, 0.7)),):
        words = " ".join(rng.choice(_WORDS, int(rng.integers(2, 6))))
        words = words.upper() if rng.random() < 0.5 else words
        left = float(rng.uniform(0.02, 0.25)) * image.width
        pen.text((left, place * image.height), words, "white", _font(size), stroke_width=max(1, int(size / 14)), stroke_fill="black")
    return canvas


def _logo(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Put emoji-like figures or badges of `grade` times the short side on the picture."""
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 4))):
        side = grade * min(image.size)
        left = float(rng.uniform(0, max(1.0, image.width - side)))
        top = float(rng.uniform(0, max(1.0, image.height - side)))
        _figure(pen, str(rng.choice(_EMOJI)), left, top, side)
    return canvas


def _figure(pen: ImageDraw.ImageDraw, name: str, left: float, top: float, side: float) -> None:
    box = (left, top, left + side, top + side)
    at = lambda x, y: (left + x * side, top + y * side)  # noqa: E731  (a named local would be longer than what it does)
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
        turns = [(0.5 + r * np.sin(a), 0.5 - r * np.cos(a)) for a, r in zip(np.arange(10) * np.pi / 5, (0.5, 0.2) * 5, strict=True)]
        pen.polygon([at(x, y) for x, y in turns], "#ffee44", "#aa7700")
    else:
        pen.rounded_rectangle((left, top, left + side * 1.6, top + side * 0.6), side / 8, "#1155cc")
        pen.text(at(0.15, 0.1), "NEW", "white", _font(side * 0.35))


def _border(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    hue = ("white", "black", "#808080", "#b03030", "#205080")[int(rng.integers(0, 5))]
    return ImageOps.expand(image, max(1, int(grade * min(image.size))), hue)


def _letterbox(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    hue = "black" if rng.random() < 0.7 else "white"
    across = rng.random() < 0.5
    side = (int(grade * image.width), 0) if across else (0, int(grade * image.height))
    return ImageOps.expand(image, (side[0], side[1], side[0], side[1]), hue)


def _inset(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Paste the picture at `grade` of the side onto another picture."""
    canvas = ImageOps.fit(donor, image.size)
    size = (max(16, int(image.width * grade)), max(16, int(image.height * grade)))
    left = int(rng.integers(0, image.width - size[0] + 1))
    top = int(rng.integers(0, image.height - size[1] + 1))
    canvas.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
    return canvas


def _collage(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Put another picture over a corner: the reverse of `_inset`."""
    canvas = image.copy()
    size = (max(8, int(image.width * grade)), max(8, int(image.height * grade)))
    corner = (int(rng.choice((0, image.width - size[0]))), int(rng.choice((0, image.height - size[1]))))
    canvas.paste(ImageOps.fit(donor, size), corner)
    return canvas


def _screenshot(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Show the picture in an application; `grade` is the share of the screen's height around it."""
    dark = rng.random() < 0.5
    paper, ink = ("#15181c", "#d0d4d8") if dark else ("#fafafa", "#202428")
    top, bottom = int(image.height * grade * 0.5), int(image.height * grade * rng.uniform(0.4, 0.9))
    margin = int(image.width * float(rng.choice((0.0, 0.03, 0.06))))
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
        pen.text((size, line), " ".join(rng.choice(_WORDS, int(rng.integers(3, 9)))), ink, _font(size))
        line += size * 1.5
    return page


def _scan(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Print and photograph: perspective, uneven light, faded tones, blur, grain, compression."""
    width, height = image.size
    shift = rng.uniform(0, 0.06 * grade, 8) * np.array([width, height] * 4)
    signs = np.array([-1, -1, -1, 1, 1, 1, 1, -1])
    corners = np.array([0, 0, 0, height, width, height, width, 0], float) + signs * shift
    quad = tuple(float(value) for value in corners)
    paper = image.transform(image.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC, fillcolor="#d8d4cc")
    pixels = np.asarray(paper, np.float32)
    slope = 1 + grade * 0.15 * (np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-1, 1))
    faded = (pixels * (1 - 0.1 * grade) + 16 * grade) * slope * (1 - np.array([0, 0.02, 0.06]) * grade)
    faded += rng.normal(0, 3 * grade, pixels.shape)
    soft = Image.fromarray(np.clip(faded, 0, 255).astype(np.uint8))
    return encoded(soft.filter(ImageFilter.GaussianBlur(0.002 * grade * max(image.size))), "JPEG", 70)


def _combination(image: Image.Image, rng: Generator, grade: float, donor: Image.Image) -> Image.Image:
    """Apply `grade` edits one after the other, then the JPEG that ends every such chain."""
    steps: tuple[tuple[Apply, float], ...] = (
        (_crop, 0.7), (_rotate, 8), (_mirror, 0), (_colour, 0.4), (_light, 0.3), (_text, 0.09),
        (_logo, 0.2), (_border, 0.06), (_resize, 0.5), (_noise, 10), (_gamma, 1.4), (_blur, 0.4), (_screenshot, 0.3),
    )  # fmt: skip
    for index in sorted(rng.choice(len(steps), int(grade), replace=False)):
        apply, strength = steps[int(index)]
        image = apply(image, rng, strength, donor)
    return encoded(image, "JPEG", int(rng.integers(35, 85)))


KINDS: tuple[Kind, ...] = (
    Kind("metadata", (0.0,), _same),
    Kind("resize", (0.75, 2.0, 0.5, 0.25), _resize),
    Kind("jpeg", (95, 60, 30, 15, 8), _jpeg),
    Kind("webp", (80, 40, 10), _webp),
    Kind("crop-90", (0.9,), _crop),
    Kind("crop-70", (0.7,), _crop),
    Kind("crop-50", (0.5,), _crop),
    Kind("crop-30", (0.3,), _crop),
    Kind("rotate-mild", (2, 5), _rotate),
    Kind("rotate-hard", (10, 20), _rotate),
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
    Kind("inset", (0.85, 0.7, 0.5), _inset, local=True),
    Kind("collage", (0.25, 0.4, 0.55), _collage, local=True),
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
