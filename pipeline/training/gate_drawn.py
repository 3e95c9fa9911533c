"""More drawn pictures for the networks that judge blur: scenes whose edges all differ in width, and screens.

A blur gives every edge of a picture the same least width. SOFTER paints what has no sharp edge and no such width
either: silk, marble, smoke, swell, far lamps, curtains of light. SCREENS paints what programs show, light or dark;
like sheets of paper, they are good as they are and bad when blurred. As in `pipeline.training.drawn`, a painter
returns RGB grey levels, float32 [h, w, 3], not yet clipped.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from pipeline.training.drawn import Levels, along, colour_between, draw_size, ink_between, places

_HEIGHTS = (320, 480, 640, 900)  # of screens
_FONTS = (0, 2, 3)


def _field(rng: Generator, size: tuple[int, int], slope: float, stretch: float = 1.0) -> Levels:
    """Return random phases whose power falls by a law, of unit deviation, drawn out downwards, [h, w, 1]."""
    down, across = np.fft.fftfreq(size[0])[:, None] * stretch, np.fft.rfftfreq(size[1])[None]
    frequency = np.hypot(down * size[0] / size[1], across)
    frequency[0, 0] = np.inf
    waves = np.exp(2j * np.pi * rng.random(frequency.shape)) * frequency ** (-slope / 2)
    field = np.fft.irfft2(waves, size)[..., None]
    return np.asarray(field / field.std(), np.float32)


def _two_tones(rng: Generator, share: Levels, low: float, high: float) -> Levels:
    return np.asarray(colour_between(rng, low, high) * (1 - share) + colour_between(rng, low, high) * share)


def silk(rng: Generator) -> Levels:
    """Let waves of light run over cloth, hair or marble: they crowd here and part there."""
    size = draw_size(rng)
    bent = along(size, rng.uniform(0, 2 * np.pi)) + rng.uniform(0.03, 0.25) * _field(rng, size, rng.uniform(4, 8))
    crossed = along(size, rng.uniform(0, 2 * np.pi)) + rng.uniform(0, 0.2) * _field(rng, size, rng.uniform(4, 8))
    turns = rng.uniform(0.7, 6, 4)
    light = np.zeros((*size, 1), np.float32)
    for number, often in enumerate(turns):
        light += np.sin(2 * np.pi * (often * (bent, crossed)[number % 2] + rng.uniform())) / often
    light = (light - light.min()) / np.ptp(light)
    shine = rng.uniform(0, 120) * light ** rng.uniform(3, 12)
    return np.asarray(colour_between(rng, 40, 250) * (rng.uniform(0.1, 0.7) + light * rng.uniform(0.3, 0.7)) + shine)


def smoke(rng: Generator) -> Levels:
    """Let smoke, ink or mist drift before a plain ground, torn by its own currents."""
    size = draw_size(rng)
    still = _field(rng, size, rng.uniform(2.8, 5))[..., 0]
    reach = max(size) * rng.uniform(0, 0.1)
    way = [
        part.astype(np.float32) + reach * _field(rng, size, rng.uniform(4, 7))[..., 0]
        for part in np.mgrid[: size[0], : size[1]]
    ]
    drift = cv2.remap(still, way[1], way[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)[..., None]
    if rng.random() < 0.3:
        drift = 1 - np.abs(drift)
    cover = np.clip(rng.uniform(-0.3, 0.5) + rng.uniform(0.2, 0.8) * drift, 0, 1) ** rng.uniform(0.7, 2)
    ground, veil = ((0, 40), (120, 250)) if rng.random() < 0.5 else ((40, 255), (20, 255))
    return np.asarray(_two_tones(rng, places(size)[0], *ground) * (1 - cover) + colour_between(rng, *veil) * cover)


def swell(rng: Generator) -> Levels:
    """Draw out a rough field one way: a lake, fur, rain far away, blades of grass in the wind."""
    size = draw_size(rng)
    field = _field(rng, size, rng.uniform(2, 5), float(np.exp(rng.uniform(-2, 2))))
    ground = _two_tones(rng, along(size, rng.uniform(0, 2 * np.pi)), 20, 220)
    return np.asarray(ground + colour_between(rng, 0.5, 1.3) * field * rng.uniform(4, 35))


def far_lamps(rng: Generator) -> Levels:
    """Hang lamps out of focus in the dark, their rims each of another softness."""
    size = draw_size(rng)
    y, x = places(size)
    picture = _two_tones(rng, y, 0, rng.uniform(10, 90))
    largest, softest = rng.uniform(0.03, 0.15), rng.uniform(0.1, 0.5)
    for _ in range(int(rng.integers(4, 30))):
        radius = largest * rng.uniform(0.2, 1)
        away = np.hypot((x - rng.uniform()) * size[1] / max(size), (y - rng.uniform()) * size[0] / max(size)) / radius
        edge = softest * np.exp(rng.uniform(-1.5, 0))
        rim = 1 + rng.uniform(0, 0.6) * np.clip(away, 0, 1) ** 6
        shine = rim / (1 + np.exp(np.clip((away - 1) / (0.3 * edge), -30, 30)))
        picture = picture + colour_between(rng, 10, 200) * shine * rng.uniform(0.2, 1)
    return np.asarray(picture)


def ribbons(rng: Generator) -> Levels:
    """Draw ribbons of light in the night: bright along a curve, fading to both sides at another pace each."""
    size = draw_size(rng)
    y, x = places(size)
    picture = _two_tones(rng, y, 0, rng.uniform(15, 90))
    for _ in range(int(rng.integers(1, 5))):
        waves = rng.normal(0, 0.15, 4) / np.arange(1, 5)
        curve = rng.uniform(0.2, 0.8) + sum(
            wave * np.sin(2 * np.pi * ((number + rng.uniform(0, 1)) * x + rng.uniform()))
            for number, wave in enumerate(waves)
        )
        above = curve - y
        up, down = np.exp(rng.uniform(np.log(0.02), np.log(0.4), 2))
        light = np.exp(-np.abs(above) / np.where(above > 0, up, down))
        rays = 1 + rng.uniform(0, 0.5) * _field(rng, size, rng.uniform(2, 5), float(np.exp(rng.uniform(-3, 0))))
        picture = picture + colour_between(rng, 0, 200) * light * np.clip(rays, 0, 3)
    return np.asarray(picture)


def screen(rng: Generator) -> Levels:
    """Show a program: bars, cards, lists, words and buttons, light or dark."""
    height = int(rng.choice(_HEIGHTS))
    width = int(height * rng.choice((0.5, 0.7, 1, 1.4, 1.78)))
    dark = rng.random() < 0.5
    page = np.ones((height, width, 3), np.uint8) * np.asarray(
        colour_between(rng, 0, 45) if dark else rng.uniform(225, 255) * colour_between(rng, 0.97, 1), np.uint8
    )
    if rng.random() < 0.5:
        cv2.rectangle(page, (0, 0), (width, int(height * rng.uniform(0.04, 0.12))), ink_between(rng, 20, 235), -1)
    for _ in range(int(rng.integers(0, 8))):
        x, y = int(rng.uniform(0, 0.8) * width), int(rng.uniform(0.1, 0.9) * height)
        far = int(x + width * rng.uniform(0.1, 0.5)), int(y + height * rng.uniform(0.03, 0.3))
        card = ink_between(rng, 20, 90) if dark else ink_between(rng, 215, 255)
        cv2.rectangle(page, (x, y), far, card, -1 if rng.random() < 0.7 else 1)
    for _ in range(int(rng.integers(0, 9))):
        place = int(rng.uniform(0.03, 0.97) * width), int(rng.uniform(0.05, 0.95) * height)
        size = int(height * rng.uniform(0.008, 0.03)) + 1
        cv2.circle(page, place, size, ink_between(rng, 30, 240), -1, cv2.LINE_AA)
    _write(page, dark, rng)
    return page.astype(np.float32)


def _write(page: np.ndarray, dark: bool, rng: Generator) -> None:
    """Write lines of words below each other, in part of several inks, with rules between them."""
    height, width = page.shape[:2]
    size, left = rng.uniform(0.35, 0.7), int(rng.uniform(0.01, 0.3) * width)
    gap, top = int(size * rng.uniform(28, 60)), int(rng.uniform(0.05, 0.5) * height)
    plain = ink_between(rng, 170, 255) if dark else ink_between(rng, 0, 90)
    ruled, coloured = rng.random() < 0.3, rng.random() < 0.4
    for line in range(int(rng.integers(1, max(2, (height - top) // gap)))):
        ink = ink_between(rng, 60, 230) if coloured and rng.random() < 0.6 else plain
        words = "".join(map(chr, rng.choice([*range(97, 123), 32, 32, 32], int(rng.integers(3, 60)))))
        cv2.putText(page, words, (left, top + line * gap), int(rng.choice(_FONTS)), size, ink, 1, cv2.LINE_AA)
        if ruled:
            cv2.line(page, (0, top + line * gap + gap // 3), (width, top + line * gap + gap // 3), plain, 1)


SOFTER: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter for painter in (silk, smoke, swell, far_lamps, ribbons)
}
SCREENS: dict[str, Callable[[Generator], Levels]] = {"screen": screen}
