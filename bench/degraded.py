"""Degraded copies of a picture file, as people and programs make them: the raw material of `bench.keeper`.

Every kind takes the decoded original and returns the bytes of a worse file: smaller, softer, cut, written over,
compressed once more. Strengths are drawn by seed, evenly between a mild and a hard end; what a program would save
is saved as it would be, mostly as JPEG, of a quality that has nothing to do with the original's.
"""

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Degrade = Callable[[Image.Image, Generator], bytes]

_WAYS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.BOX)
_WORDS = ("holiday", "photo by me", "SAMPLE", "do not copy", "summer", "for sale", "www.example.org", "draft")


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _save(image: Image.Image, rng: Generator, least: int = 70) -> bytes:
    """Save as programs do: mostly JPEG, sometimes PNG or WebP."""
    way = rng.random()
    if way < 0.15:
        return saved(image, "PNG", compress_level=1)
    quality = int(rng.integers(least, 97))
    if way < 0.25:
        return saved(image, "WEBP", quality=quality, method=2)
    return saved(image, "JPEG", quality=quality, subsampling=int(rng.choice((0, 2))))


def _scaled(image: Image.Image, scale: float, way: Image.Resampling) -> Image.Image:
    return image.resize((max(16, round(image.width * scale)), max(16, round(image.height * scale))), way)


def _way(rng: Generator, among: int = 4) -> Image.Resampling:
    return _WAYS[int(rng.integers(among))]


def _downscaled(image: Image.Image, rng: Generator) -> bytes:
    return _save(_scaled(image, float(rng.choice((0.9, 0.75, 0.5, 0.35, 0.25))), _way(rng)), rng)


def _recompressed(image: Image.Image, rng: Generator) -> bytes:
    return saved(image, "JPEG", quality=int(rng.integers(25, 92)), subsampling=int(rng.choice((0, 2))))


def _recompressed_to_png(image: Image.Image, rng: Generator) -> bytes:
    return saved(_through_jpeg(image, int(rng.integers(20, 85))), "PNG", compress_level=1)


def _recompressed_often(image: Image.Image, rng: Generator) -> bytes:
    """Save two to four times, each time with another quality."""
    for _ in range(int(rng.integers(1, 4))):
        image = _through_jpeg(image, int(rng.integers(35, 90)))
    return saved(image, "JPEG", quality=int(rng.integers(60, 98)))


def _recompressed_through_webp(image: Image.Image, rng: Generator) -> bytes:
    with Image.open(io.BytesIO(saved(image, "WEBP", quality=int(rng.integers(40, 86)), method=2))) as again:
        return saved(again.convert("RGB"), "JPEG", quality=int(rng.integers(75, 96)))


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    with Image.open(io.BytesIO(saved(image, "JPEG", quality=quality))) as again:
        return again.convert("RGB")


def _resaved(image: Image.Image, rng: Generator) -> bytes:
    return saved(image, "JPEG", quality=int(rng.integers(92, 100)), subsampling=int(rng.choice((0, 2))))


def _webp(image: Image.Image, rng: Generator) -> bytes:
    if rng.random() < 0.3:
        return saved(image, "WEBP", lossless=True, quality=20, method=0)
    return saved(image, "WEBP", quality=int(rng.integers(40, 96)), method=2)


def _blurred(image: Image.Image, rng: Generator) -> bytes:
    sigma = float(rng.uniform(0.7, 2.5)) * max(1.0, max(image.size) / 1600)
    return _save(image.filter(ImageFilter.GaussianBlur(sigma)), rng)


def _smeared(image: Image.Image, rng: Generator) -> bytes:
    """Blur along a line, as a moving hand does."""
    side = int(rng.integers(3, 9))
    line = np.zeros((side, side), np.float32)
    line[side // 2] = 1
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), float(rng.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(line, turn, (side, side))
    return _save(Image.fromarray(cv2.filter2D(np.asarray(image), -1, kernel / kernel.sum())), rng)


def _median_of_nine(image: Image.Image, rng: Generator) -> bytes:
    return _save(image.filter(ImageFilter.MedianFilter(3)), rng)


def _upscaled_back(image: Image.Image, rng: Generator) -> bytes:
    small = _scaled(image, float(rng.uniform(0.4, 0.75)), _way(rng))
    return _save(small.resize(image.size, _way(rng, 3)), rng)


def _enlarged(image: Image.Image, rng: Generator) -> bytes:
    return _save(_scaled(image, float(rng.uniform(1.25, 2.0)), _way(rng, 3)), rng, 80)


def _over_sharpened(image: Image.Image, rng: Generator) -> bytes:
    radius = float(rng.uniform(1.0, 3.0)) * max(1.0, max(image.size) / 1600)
    sharp = image.filter(ImageFilter.UnsharpMask(radius, int(rng.uniform(120, 400)), int(rng.choice((0, 3)))))
    return _save(sharp, rng, 80)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(6.0, size))


def _screenshot(image: Image.Image, rng: Generator) -> bytes:
    """Show the picture, reduced or enlarged, on the page of an application."""
    shown = _scaled(image, float(rng.uniform(0.5, 1.4)), Image.Resampling.BILINEAR)
    dark = rng.random() < 0.5
    paper, ink = ("#15181c", "#d0d4d8") if dark else ("#fafafa", "#202428")
    high = int(shown.height * float(rng.uniform(0.1, 0.8)))
    top, margin = int(high * float(rng.uniform(0.2, 0.8))), int(shown.width * float(rng.choice((0.0, 0.03, 0.2))))
    page = Image.new("RGB", (shown.width + 2 * margin, shown.height + high), paper)
    page.paste(shown, (margin, top))
    pen, size = ImageDraw.Draw(page), max(8.0, page.height * 0.02)
    pen.text((size, size * 0.4), "09:41   gallery   84%", ink, _font(size))
    line = top + shown.height + size * 0.6
    while line < page.height - size:
        pen.text((size, line), " ".join(rng.choice(_WORDS, 3)), ink, _font(size))
        line += size * 1.6
    return saved(page, "PNG", compress_level=1) if rng.random() < 0.7 else _save(page, rng)


def _on_telephone(image: Image.Image, rng: Generator) -> bytes:
    """Show the picture across the screen of a telephone, however small it is."""
    wide = int(rng.choice((720, 828, 1080)))
    shown = image.resize((wide, max(16, round(wide * image.height / image.width))), Image.Resampling.BILINEAR)
    high = max(2 * wide, shown.height + 160)
    page = Image.new("RGB", (wide, high), "black" if rng.random() < 0.6 else "white")
    page.paste(shown, (0, (high - shown.height) // 2))
    ImageDraw.Draw(page).text((wide * 0.05, 12), "12:41", "grey", _font(26))
    return saved(page, "PNG", compress_level=1) if rng.random() < 0.6 else _save(page, rng)


def _cropped(image: Image.Image, rng: Generator) -> bytes:
    return _save(_cut(image, float(rng.uniform(0.5, 0.95)), rng), rng)


def _cut(image: Image.Image, area: float, rng: Generator) -> Image.Image:
    aspect = float(np.exp(rng.uniform(-0.1, 0.1)))
    width = min(image.width, round(image.width * np.sqrt(area) * aspect))
    height = min(image.height, round(image.width * image.height * area / width))
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _cropped_and_enlarged(image: Image.Image, rng: Generator) -> bytes:
    return _save(_cut(image, float(rng.uniform(0.5, 0.9)), rng).resize(image.size, _way(rng, 3)), rng)


def _turned(image: Image.Image, rng: Generator) -> bytes:
    """Turn by a few degrees and cut the largest inner window of the same aspect."""
    degrees = float(rng.uniform(1.5, 8)) * (1 if rng.random() < 0.5 else -1)
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    longest = max(image.width / image.height, image.height / image.width)
    scale = 1 / (np.cos(np.radians(abs(degrees))) + longest * np.sin(np.radians(abs(degrees))))
    width, height = int(image.width * scale), int(image.height * scale)
    left, top = (turned.width - width) // 2, (turned.height - height) // 2
    return _save(turned.crop((left, top, left + width, top + height)), rng)


def _hue(rng: Generator) -> str:
    return str(rng.choice(("black", "white", "#303030", "#b08040")))


def _bordered(image: Image.Image, rng: Generator) -> bytes:
    return _save(ImageOps.expand(image, max(2, int(rng.uniform(0.01, 0.12) * min(image.size))), _hue(rng)), rng)


def _letterboxed(image: Image.Image, rng: Generator) -> bytes:
    share = float(rng.uniform(0.06, 0.35))
    across, down = (share, 0.0) if rng.random() < 0.5 else (0.0, share)
    bars = int(across * image.width), int(down * image.height)
    return _save(ImageOps.expand(image, (*bars, *bars), "black" if rng.random() < 0.8 else "white"), rng)


def _watermarked(image: Image.Image, rng: Generator) -> bytes:
    """Write over the picture, opaque or half transparent, once or all over."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen, size = ImageDraw.Draw(layer), float(rng.uniform(0.05, 0.14)) * image.height
    colour = (*(int(value) for value in rng.choice((0, 255), 3)), int(rng.uniform(90, 255)))
    places = 1 if rng.random() < 0.6 else 6
    for _ in range(places):
        place = float(rng.uniform(0, 0.6)) * image.width, float(rng.uniform(0, 0.85)) * image.height
        pen.text(place, str(rng.choice(_WORDS)), colour, _font(size))
    return _save(Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB"), rng)


def _stickered(image: Image.Image, rng: Generator) -> bytes:
    """Put a drawn sticker over a part of the picture."""
    marked, side = image.copy(), float(rng.uniform(0.1, 0.3)) * min(image.size)
    left, top = float(rng.uniform(0, image.width - side)), float(rng.uniform(0, image.height - side))
    pen, fill = ImageDraw.Draw(marked), tuple(int(value) for value in rng.integers(0, 256, 3))
    pen.ellipse((left, top, left + side, top + side), fill, "white", max(1, int(side / 20)))
    pen.text((left + side * 0.15, top + side * 0.35), "-50%", "white", _font(side * 0.3))
    return _save(marked, rng)


def _grey(image: Image.Image, rng: Generator) -> bytes:
    return _save(ImageOps.grayscale(image).convert("RGB" if rng.random() < 0.7 else "L"), rng)


def _tinted(image: Image.Image, rng: Generator) -> bytes:
    """Make it grey, and tint it as old prints are."""
    share = np.array([1.0, rng.uniform(0.82, 0.95), rng.uniform(0.6, 0.85)])
    tinted = np.asarray(ImageOps.grayscale(image))[..., None] * share
    return _save(Image.fromarray(tinted.round().astype(np.uint8)), rng)


def _noisy(image: Image.Image, rng: Generator) -> bytes:
    shape = (image.height, image.width, 3 if rng.random() < 0.5 else 1)
    noise = rng.normal(0, float(rng.uniform(4, 20)), shape)
    return _save(Image.fromarray((np.asarray(image, np.float32) + noise).clip(0, 255).astype(np.uint8)), rng)


def _shared(image: Image.Image, rng: Generator) -> bytes:
    """Do what messengers do: reduce, sharpen a little, compress hard."""
    scale = min(1.0, float(rng.uniform(0.5, 1.0)))
    small = _scaled(image, scale, Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(1, 40, 0))
    return saved(small, "JPEG", quality=int(rng.integers(60, 82)), progressive=True)


def _sharpened(image: Image.Image, rng: Generator) -> bytes:
    """Sharpen as much as people like, with whatever a program offers."""
    ways = (
        ImageFilter.SHARPEN, ImageFilter.DETAIL, ImageFilter.EDGE_ENHANCE,
        ImageFilter.UnsharpMask(float(rng.uniform(0.5, 2.5)), int(rng.uniform(40, 120)), int(rng.choice((0, 2)))),
    )  # fmt: skip
    return _save(image.filter(ways[int(rng.integers(len(ways)))]), rng, 75)


def _few_colours(image: Image.Image, rng: Generator) -> bytes:
    """Save with a palette, dithered or not."""
    few = image.quantize(int(rng.choice((256, 128, 64, 32, 16))))
    dithered = image.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG)
    return saved(dithered if rng.random() < 0.5 else few, "PNG" if rng.random() < 0.7 else "GIF")


def _toned(image: Image.Image, rng: Generator) -> bytes:
    """Change brightness, contrast or gamma."""
    levels = np.arange(256) / 255
    power, slope, shift = np.exp(rng.uniform(-0.5, 0.5)), rng.uniform(0.7, 1.4), rng.uniform(-0.1, 0.1)
    curve = levels**power if rng.random() < 0.5 else (levels - 0.5) * slope + 0.5 + shift
    return _save(image.point([round(255 * min(max(float(value), 0.0), 1.0)) for value in curve] * 3), rng, 78)


def _covered(image: Image.Image, rng: Generator) -> bytes:
    """Put a plain box over a part of the picture, as to hide a name or a plate."""
    copy, (wide, high) = image.copy(), rng.uniform(0.08, 0.4, 2) * image.size
    left, top = float(rng.uniform(0, image.width - wide)), float(rng.uniform(0, image.height - high))
    colour = str(rng.choice(("black", "white", "#ffeb3b", "#3060c0", "#808080")))
    ImageDraw.Draw(copy).rectangle((left, top, left + float(wide), top + float(high)), colour)
    return _save(copy, rng)


def _median(image: Image.Image, rng: Generator) -> bytes:
    """Smooth with edges kept, as noise removers and beauty filters do."""
    bgr = np.asarray(image)[..., ::-1]
    smooth = cv2.bilateralFilter(np.ascontiguousarray(bgr), 7, float(rng.uniform(30, 80)), 3)
    return _save(Image.fromarray(np.ascontiguousarray(smooth[..., ::-1])), rng)


KINDS: dict[str, Degrade] = {
    "downscaled": _downscaled,
    "recompressed": _recompressed,
    "recompressed, png": _recompressed_to_png,
    "recompressed often": _recompressed_often,
    "recompressed, WebP between": _recompressed_through_webp,
    "re-saved finer": _resaved,
    "png": lambda image, _: saved(image, "PNG", compress_level=1),
    "webp": _webp,
    "blurred": _blurred,
    "smeared": _smeared,
    "median": _median_of_nine,
    "smoothed": _median,
    "upscaled back": _upscaled_back,
    "enlarged": _enlarged,
    "over-sharpened": _over_sharpened,
    "screenshot": _screenshot,
    "screenshot, telephone": _on_telephone,
    "cropped": _cropped,
    "cropped, enlarged": _cropped_and_enlarged,
    "turned, cropped": _turned,
    "bordered": _bordered,
    "letterboxed": _letterboxed,
    "watermarked": _watermarked,
    "stickered": _stickered,
    "grey": _grey,
    "tinted": _tinted,
    "noisy": _noisy,
    "shared": _shared,
    "sharpened": _sharpened,
    "few colours": _few_colours,
    "tones changed": _toned,
    "covered": _covered,
}
