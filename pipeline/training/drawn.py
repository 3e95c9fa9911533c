"""Drawn good pictures that have little structure, or much white: skies, walls, fog, water, papers, products.

A gate between good and bad learns from them that what is smooth is not blurred, and what is white is not blown out.
Each painter returns RGB grey levels, float32 [h, w, 3], not yet clipped, and draws only from the generator passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# float32 throughout; the stubs of OpenCV do not promise a dtype.
Levels = NDArray[Any]

_LONG_SIDES = (160, 240, 320, 480, 640, 640, 800)


def draw_size(rng: Generator) -> tuple[int, int]:
    long_side = int(rng.choice(_LONG_SIDES))
    short_side = int(long_side * rng.uniform(0.56, 1))
    return (long_side, short_side) if rng.random() < 0.25 else (short_side, long_side)


def places(size: tuple[int, int]) -> tuple[Levels, Levels]:
    """Return y and x of every pixel as shares of the height and width, float32 [h, w, 1]."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return (y / height)[..., None], (x / width)[..., None]


def colour_between(rng: Generator, low: float, high: float) -> Levels:
    return rng.uniform(low, high, 3).astype(np.float32)


def ink_between(rng: Generator, low: float, high: float) -> tuple[float, float, float]:
    red, green, blue = rng.uniform(low, high, 3)
    return float(red), float(green), float(blue)


def flat(size: tuple[int, int], colour: object) -> Levels:
    return np.ones((*size, 3), np.float32) * np.asarray(colour, np.float32)


def bumps(rng: Generator, size: tuple[int, int], rows: int, columns: int) -> Levels:
    grid = rng.standard_normal((rows, columns), np.float32)
    return cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)[..., None]


def fractal(
    rng: Generator, size: tuple[int, int], cells: float, octaves: int, gain: float, stretch: float = 1
) -> Levels:
    """Return noise of that many octaves, of unit deviation, drawn out sideways by `stretch`, [h, w, 1]."""
    total = np.zeros((*size, 1), np.float32)
    for octave in range(octaves):
        rows = max(2, int(cells * 2**octave))
        columns = max(2, int(cells * 2**octave * size[1] / size[0] / stretch))
        total += np.float32(gain**octave) * bumps(rng, size, rows + 1, columns + 1)
    return np.asarray(total / total.std())


def spread(plane: Levels, sigma_x: float, sigma_y: float | None = None) -> Levels:
    """Blur a mask or noise, [h, w, 1]."""
    return cv2.GaussianBlur(plane, (0, 0), sigmaX=sigma_x, sigmaY=sigma_x if sigma_y is None else sigma_y)[..., None]


def unit_noise(rng: Generator, size: tuple[int, int], sigma_x: float, sigma_y: float) -> Levels:
    noise = spread(rng.standard_normal(size, np.float32), sigma_x, sigma_y)
    return np.asarray(noise / noise.std())


def along(size: tuple[int, int], angle: float) -> Levels:
    """Return 0 to 1 along one direction."""
    y, x = places(size)
    way = np.cos(angle) * x * size[1] + np.sin(angle) * y * size[0]
    return np.asarray((way - way.min()) / np.ptp(way))


def soft_sky(rng: Generator) -> Levels:
    """Paint a sky that changes slowly."""
    size = draw_size(rng)
    y, _ = places(size)
    blue = np.array([70, 120, 190]) + colour_between(rng, -20, 20)
    clouds = bumps(rng, size, int(rng.integers(4, 9)), int(rng.integers(5, 12)))
    return flat(size, blue) + y * rng.uniform(20, 90) + clouds * rng.uniform(3, 14)


def cloudy_sky(rng: Generator) -> Levels:
    """Paint clouds of fractal noise."""
    size = draw_size(rng)
    y, _ = places(size)
    sky = np.array([60, 110, 180]) * (1 - y) + np.array([170, 195, 220]) * y
    octaves = int(rng.integers(2, 5))
    noise = fractal(rng, size, rng.uniform(2, 4), octaves, rng.uniform(0.35, 0.5), rng.uniform(1, 3))
    cloud = np.clip(noise * rng.uniform(0.2, 0.5) + rng.uniform(0, 0.4), 0, 1) * rng.uniform(0.4, 0.9)
    return np.asarray(sky * (1 - cloud) + np.array([245, 245, 248]) * cloud)


def overcast(rng: Generator) -> Levels:
    """Paint a grey sky."""
    size, octaves = draw_size(rng), int(rng.integers(1, 4))
    noise = fractal(rng, size, rng.uniform(1.5, 3), octaves, rng.uniform(0.3, 0.5), rng.uniform(1, 3))
    return flat(size, rng.uniform(110, 190) * colour_between(rng, 0.95, 1.05)) + noise * rng.uniform(5, 25)


def sunset(rng: Generator) -> Levels:
    """Paint the sun in bands of cloud, in part over dark land."""
    size = draw_size(rng)
    y, x = places(size)
    picture = np.array([60, 60, 110]) * (1 - y) + np.array([250, 140, 60]) * y
    away = np.hypot((x - rng.uniform(0.2, 0.8)) * size[1] / size[0], y - rng.uniform(0.4, 0.75))
    picture = picture + 250 * np.exp(-away / rng.uniform(0.08, 0.25))
    bands = np.clip(fractal(rng, size, 2.5, 4, 0.5, rng.uniform(3, 8)) * 0.3 + 0.2, 0, 0.8)
    picture = picture * (1 - bands * np.array([0.4, 0.45, 0.5]))
    if rng.random() < 0.6:
        knots = np.linspace(0, 1, 12)
        land = rng.uniform(0.75, 0.9) + np.interp(x[0, :, 0], knots, rng.normal(0, 0.02, 12))
        picture = np.where(y > land[None, :, None], picture * rng.uniform(0.05, 0.25), picture)
    return np.asarray(picture)


def sun(rng: Generator) -> Levels:
    """Paint the glow of the sun in a clear sky."""
    size = draw_size(rng)
    y, x = places(size)
    away = np.hypot((x - rng.uniform(0.2, 0.8)) * size[1] / size[0], y - rng.uniform(0.2, 0.8))
    sky = np.array([30, 90, 170]) * rng.uniform(0.6, 1.1) * (1 - 0.3 * away)
    return np.asarray(sky + 300 * np.exp(-away / rng.uniform(0.06, 0.2)) * np.array([1, 0.97, 0.9]))


def puffs(rng: Generator) -> Levels:
    """Paint a few soft clouds over a bright horizon."""
    size = draw_size(rng)
    height, width = size
    y, _ = places(size)
    sky = (1 - y) * np.array([40, 90, 170]) + np.array([110, 140, 80])
    mask = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(3, 9))):
        middle = rng.uniform(0, width), rng.uniform(0.1, 0.8) * height
        for _ in range(12):
            place = int(middle[0] + rng.normal(0, 0.07 * width)), int(middle[1] + rng.normal(0, 0.02 * height))
            axes = int(width * rng.uniform(0.02, 0.07)) + 1, int(height * rng.uniform(0.02, 0.05)) + 1
            cv2.ellipse(mask, place, axes, 0, 0, 360, 1, -1)
    cloud = spread(mask, max(size) * rng.uniform(0.015, 0.05)) * rng.uniform(0.3, 0.8)
    return np.asarray(sky * (1 - cloud) + 250 * cloud)


def cirrus(rng: Generator) -> Levels:
    """Paint thin clouds drawn out by the wind."""
    size = draw_size(rng)
    y, _ = places(size)
    sizes = (2, 5, 12, 30)
    layers = (
        s * spread(rng.standard_normal(size, np.float32), 3 * s * size[1] / 400, s * size[1] / 400) for s in sizes
    )
    veil = np.asarray(sum(layers))
    veil = np.asarray(veil / veil.std())
    colours = np.array([70, 120, 185]) + y * np.array([80, 60, 35]) + veil * np.array([10, 9, 6])
    return np.asarray(colours * rng.uniform(0.7, 1.05))


def bands(rng: Generator) -> Levels:
    """Paint gradients from colour to colour, as at dusk."""
    size, count = draw_size(rng), int(rng.integers(2, 7))
    stops = np.sort(np.r_[0, rng.uniform(0, 1, count - 2), 1])
    angle = float(rng.choice((np.pi / 2, np.pi / 2, 0, rng.uniform(0, np.pi))))
    way = along(size, angle)[..., 0]
    return np.stack([np.interp(way, stops, rng.uniform(10, 250, count)) for _ in range(3)], 2)


def wall(rng: Generator) -> Levels:
    """Paint a wall, in part with a soft shadow, in part with plaster."""
    size = draw_size(rng)
    y, x = places(size)
    light = 1 + rng.uniform(-0.3, 0.3) * (x - 0.5) + rng.uniform(-0.3, 0.3) * (y - 0.5)
    picture = colour_between(rng, 90, 215) * light
    if rng.random() < 0.5:
        edge = np.tanh((along(size, rng.uniform(0, 2 * np.pi)) - 0.5) / rng.uniform(0.02, 0.06))
        picture = picture * (1 - rng.uniform(0.1, 0.3) * (0.5 + 0.5 * edge))
    noise = rng.standard_normal(size, np.float32)
    rough = 24 * spread(noise, 6) if rng.random() < 0.4 else 0
    return picture + rng.uniform(0, 3) * noise[..., None] + rough


def fog(rng: Generator) -> Levels:
    """Paint trees that fade in the fog."""
    size = draw_size(rng)
    height, width = size
    y, _ = places(size)
    picture = flat(size, rng.uniform(150, 205)) + 25 * y - 15
    for _ in range(int(rng.integers(2, 7))):
        x, top, mask = int(rng.uniform(0, width)), rng.uniform(0.2, 0.7), np.zeros(size, np.float32)
        thickness = max(1, int(width * rng.uniform(0.004, 0.02)))
        tip = x + int(rng.normal(0, width * 0.02)), int(height * top)
        cv2.line(mask, (x, height), tip, 1, thickness, cv2.LINE_AA)
        for fork in rng.uniform(top, 0.8, 10):
            twig = x + int(rng.normal(0, width * 0.06)), int(height * (fork - rng.uniform(0.02, 0.1)))
            cv2.line(mask, (x, int(height * fork)), twig, 1, 1, cv2.LINE_AA)
        picture = picture * (1 - mask[..., None] * rng.uniform(0.05, 0.25))
    return np.asarray(picture)


def texture(rng: Generator) -> Levels:
    """Paint a fractal drawn out in one direction: water, wood, cloth, bark, brushed metal."""
    size, octaves = draw_size(rng), int(rng.integers(4, 7))
    noise = fractal(rng, size, rng.uniform(2, 8), octaves, rng.uniform(0.5, 0.9), rng.uniform(1, 6))
    if rng.random() < 0.5:
        noise = cv2.resize(noise[..., 0].T.copy(), (size[1], size[0]))[..., None]
    colour = colour_between(rng, 60, 200)
    return colour + noise * rng.uniform(6, 35) * (0.6 + 0.4 * colour / 255)


def water(rng: Generator) -> Levels:
    """Paint ripples."""
    size = draw_size(rng)
    swell = unit_noise(rng, size, size[1] / 60, size[1] / 250) * rng.uniform(6, 14)
    ripple = unit_noise(rng, size, 3, 1) * rng.uniform(2, 6)
    return np.array([40, 90, 120]) * rng.uniform(0.6, 1.4) + swell + ripple


def waves(rng: Generator) -> Levels:
    """Paint waves that cross each other."""
    size = draw_size(rng)
    y, x = places(size)
    total, course = np.zeros((*size, 1)), rng.uniform(0, np.pi)
    for _ in range(12):
        angle, length = course + rng.normal(0, 0.25), np.exp(rng.uniform(np.log(4), np.log(size[1] / 4)))
        way = (np.cos(angle) * x + np.sin(angle) * y * size[0] / size[1]) * 2 * np.pi * length
        total += np.sin(way + rng.uniform(0, 2 * np.pi)) * (length / 4) ** -rng.uniform(0.3, 0.9)
    total /= total.std()
    crests = np.where(total > 0, np.abs(total) ** rng.uniform(1, 2), total)
    return colour_between(rng, 50, 170) + crests * rng.uniform(6, 25)


def stripes(rng: Generator) -> Levels:
    """Paint stripes, blinds or a fence."""
    size = draw_size(rng)
    y, x = places(size)
    angle, period = float(rng.choice((0, np.pi / 2, rng.uniform(0, np.pi)))), size[1] * rng.uniform(0.01, 0.06)
    way = np.cos(angle) * x * size[1] + np.sin(angle) * y * size[0]
    way = (way + rng.uniform(0, 8) * np.sin(y * rng.uniform(0, 6))) % period / period
    mask = np.clip((np.abs(way - 0.5) - 0.25) * period + 0.5, 0, 1)
    return np.asarray(
        colour_between(rng, 20, 230) * mask + colour_between(rng, 20, 230) * (1 - mask) + 8 * bumps(rng, size, 5, 7)
    )


def dunes(rng: Generator) -> Levels:
    """Paint dunes with sharp crests."""
    size = draw_size(rng)
    y, x = places(size)
    picture = flat(size, (190, 205, 225))
    for row in range(4):
        crest = 0.4 + 0.15 * row + 0.05 * np.sin(x * rng.uniform(3, 9) + rng.uniform(0, 6))
        mask = np.clip((y - crest) * size[0], 0, 1)
        picture = picture * (1 - mask) + np.array([215, 175, 120]) * (1 - 0.12 * row) * mask
    return picture * (0.92 + 0.08 * y)


def snow(rng: Generator) -> Levels:
    """Paint posts in a field of snow."""
    size = draw_size(rng)
    height, width = size
    picture = flat(size, rng.uniform(222, 246)) + 80 * spread(rng.standard_normal(size, np.float32), width / 30)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(0, width), rng.uniform(0.4, 0.9) * height
        top = int(x + rng.normal(0, 4)), int(y - 0.08 * height)
        cv2.line(picture, (int(x), int(y)), top, (90, 90, 95), max(1, width // 300), cv2.LINE_AA)
    return np.asarray(picture)


def moon(rng: Generator) -> Levels:
    """Paint the moon."""
    size = draw_size(rng)
    picture = flat(size, rng.uniform(2, 14))
    place = int(size[1] * rng.uniform(0.3, 0.7)), int(size[0] * rng.uniform(0.3, 0.7))
    cv2.circle(picture, place, int(size[0] * rng.uniform(0.03, 0.12)), (235, 230, 215), -1, cv2.LINE_AA)
    return picture


def bokeh(rng: Generator) -> Levels:
    """Paint a sharp thing with hair before lights far out of focus."""
    size = draw_size(rng)
    height, width = size
    picture = flat(size, 20)
    for _ in range(int(rng.integers(10, 35))):
        light, place = np.zeros_like(picture), (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(light, place, int(max(size) * rng.uniform(0.015, 0.06)), ink_between(rng, 60, 230), -1, cv2.LINE_AA)
        picture += 0.5 * cv2.GaussianBlur(light, (0, 0), max(1, width / 400))
    x, y = int(width * rng.uniform(0.3, 0.6)), int(height * 0.35)
    cv2.rectangle(picture, (x, y), (x + width // 5, height), ink_between(rng, 20, 90), -1)
    head = x + width // 10, y
    cv2.circle(picture, head, width // 10, ink_between(rng, 120, 200), -1, cv2.LINE_AA)
    for step in rng.normal(0, width * 0.06, (40, 2)):
        cv2.line(picture, head, (head[0] + int(step[0]), y + int(step[1])), ink_between(rng, 20, 120), 1, cv2.LINE_AA)
    return picture


def subject(rng: Generator) -> Levels:
    """Paint a small sharp thing before a smooth studio wall."""
    size = draw_size(rng)
    height, width = size
    y, x = places(size)
    picture = colour_between(rng, 60, 200) * (1.1 - np.hypot(x - 0.5, y - 0.5))
    extent = rng.uniform(0.06, 0.2) * width
    for _ in range(int(rng.integers(5, 25))):
        place = int(width / 2 + rng.normal(0, extent / 2)), int(height / 2 + rng.normal(0, extent / 2))
        axes = int(extent * rng.uniform(0.05, 0.5)) + 1, int(extent * rng.uniform(0.05, 0.5)) + 1
        cv2.ellipse(picture, place, axes, rng.uniform(0, 180), 0, 360, ink_between(rng, 10, 245), -1, cv2.LINE_AA)
    return picture


def confetti(rng: Generator) -> Levels:
    """Paint boxes and discs."""
    size = draw_size(rng)
    height, width = size
    noise = rng.standard_normal((*size, 1), np.float32) * np.float32(rng.uniform(0, 15))
    picture = flat(size, rng.uniform(20, 200)) + noise
    for _ in range(int(rng.integers(10, 70))):
        x, y, side = int(rng.uniform(0, width)), int(rng.uniform(0, height)), int(rng.uniform(0.01, 0.15) * width) + 2
        if rng.random() < 0.5:
            corner = x + side, y + int(side * rng.uniform(0.3, 3))
            cv2.rectangle(picture, (x, y), corner, ink_between(rng, 0, 235), -1)
        else:
            cv2.circle(picture, (x, y), side, ink_between(rng, 0, 235), -1, cv2.LINE_AA)
    return np.asarray(picture)


NATURE: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (
        soft_sky, cloudy_sky, overcast, sunset, sun, puffs, cirrus, bands, wall, fog, texture, water, waves, stripes,
        dunes, snow, moon, bokeh, subject, confetti,
    )
}  # fmt: skip
