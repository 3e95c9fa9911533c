"""Ways of making a good picture look like junk to a single number: fog, night, snow, bokeh, a product, line art.

The gate is trained and measured with them. A look is a function of the picture, uint8 RGB [h, w, 3], and a generator.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink

Random = np.random.Generator
Look = Callable[[Pixels, Random], Pixels]


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(values.clip(0, 255), np.uint8)


def _noise(random: Random, shape: tuple[int, ...], sigma: float) -> NDArray[np.floating]:
    return random.normal(0, sigma, shape)


def _scale(rgb: Pixels) -> float:
    return max(1.0, float(max(rgb.shape[:2])) / 512)


def _soft(rgb: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma * _scale(rgb)), np.uint8)


def _ellipse(rgb: Pixels, random: Random, share: float, edge: float) -> NDArray[np.float32]:
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.float32)
    centre = int(width * random.uniform(0.35, 0.65)), int(height * random.uniform(0.35, 0.65))
    cv2.ellipse(mask, centre, (int(width * share), int(height * share)), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), edge * _scale(rgb)), np.float32)[..., None]


def fog(rgb: Pixels, random: Random) -> Pixels:
    depth = np.linspace(random.uniform(0.75, 0.92), random.uniform(0.5, 0.75), rgb.shape[0])[:, None, None]
    return _bytes(rgb * (1 - depth) + random.uniform(170, 205) * depth + _noise(random, rgb.shape, 1.0))


def _night(rgb: Pixels, random: Random) -> Pixels:
    dark = rgb * random.uniform(0.01, 0.04) + _noise(random, rgb.shape, 1.2)
    for _ in range(int(random.integers(4, 25))):
        place = int(random.integers(rgb.shape[1])), int(random.integers(rgb.shape[0]))
        radius = round(random.uniform(2, 6) * _scale(rgb))
        cv2.circle(dark, place, radius, tuple(random.uniform(150, 255, 3).tolist()), -1, cv2.LINE_AA)
    return _bytes(dark)


def _snow(rgb: Pixels, random: Random) -> Pixels:
    return _bytes(255 * (rgb / 255.0) ** random.uniform(0.15, 0.25) - 4 + _noise(random, rgb.shape, 1.0))


def _bokeh(rgb: Pixels, random: Random) -> Pixels:
    mask = _ellipse(rgb, random, random.uniform(0.15, 0.25), 3)
    return _bytes(rgb * mask + _soft(rgb, random.uniform(5, 9)) * (1 - mask))


def _product(rgb: Pixels, random: Random) -> Pixels:
    mask = _ellipse(rgb, random, random.uniform(0.15, 0.28), 0.5)
    return _bytes(rgb * mask + 255 * (1 - mask))


def cut_out(rgb: Pixels, random: Random) -> Pixels:
    """Lay one to three pieces of the picture, of any shape, on white; not among LOOKS, so that no bench knows it."""
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(random.integers(1, 4))):
        turns = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(5, 16))))
        away = random.uniform(0.05, 0.4, turns.shape) * min(height, width)
        middle = random.uniform(0.25, 0.75, 2) * (width, height)
        corners = middle + away[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 1.0, cv2.LINE_AA)
    shape = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.3, 0.8) * _scale(rgb))[..., None]
    return _bytes(rgb * shape + random.uniform(250, 256) * (1 - shape))


def _line_art(rgb: Pixels, _: Random) -> Pixels:
    edges = cv2.Canny(_soft(rgb, 1.0), 60, 140)
    return np.asarray(cv2.cvtColor(255 - edges, cv2.COLOR_GRAY2RGB), np.uint8)


def _screenshot(rgb: Pixels, random: Random) -> Pixels:
    paper, ink = (250, 30) if random.random() < 0.6 else (28, 215)
    page = np.full((800, 1024, 3), paper, np.uint8)
    cv2.rectangle(page, (0, 0), (1024, 40), (90, 110, 140), -1)
    for line in range(int(random.integers(2, 20))):
        words = "".join(chr(int(code)) for code in random.integers(97, 123, 40))
        cv2.putText(page, words, (60, 100 + 34 * line), 0, 0.8, (ink, ink, ink), 1, cv2.LINE_AA)
    if random.random() < 0.5:
        page[560:760, 60:360] = cv2.resize(rgb, (300, 200), interpolation=cv2.INTER_AREA)
    return page


LOOKS: dict[str, Look] = {
    "fog": fog,
    "night": _night,
    "snow": _snow,
    "bokeh": _bokeh,
    "product": _product,
    "line art": _line_art,
    "screenshot": _screenshot,
    "low contrast": lambda rgb, r: _bytes(100 + rgb * r.uniform(0.15, 0.3)),
    "high key": lambda rgb, r: _bytes(90 + rgb * r.uniform(0.5, 0.62)),
    "low key": lambda rgb, r: _bytes(255 * (rgb / 255.0) ** r.uniform(1.6, 2.4)),
    "black and white": lambda rgb, _: np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
    "small": lambda rgb, r: shrink(rgb, int(r.integers(120, 320))),
}
