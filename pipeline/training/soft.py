"""Drawn good pictures in which nothing has a sharp edge: clouds, smoke, folds of cloth, hills in haze, wallpapers.

They look like blurred pictures of something else. A gate must let them pass: too little speaks against them. As in
`pipeline.training.drawn`, a painter returns RGB grey levels, float32 [h, w, 3], not yet clipped.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from pipeline.training.drawn import (
    Levels,
    along,
    bumps,
    colour_between,
    draw_size,
    flat,
    fractal,
    places,
    spread,
    unit_noise,
)


def soft_shapes(rng: Generator) -> Levels:
    """Paint clouds, lamps or smoke before a gradient."""
    size, dark = draw_size(rng), rng.uniform(0, 120)
    way = along(size, float(rng.choice((np.pi / 2, rng.uniform(0, 2 * np.pi)))))
    picture = colour_between(rng, dark, dark + 130) * (1 - way) + colour_between(rng, dark, dark + 130) * way
    for _ in range(int(rng.integers(1, 4))):
        mask, extent = np.zeros(size, np.float32), rng.uniform(0.01, 0.08)
        for _ in range(int(rng.integers(1, 6))):
            _heap(mask, extent, rng)
        veil = spread(mask, max(size) * rng.uniform(0.01, 0.05)) * rng.uniform(0.1, 0.9)
        picture = picture * (1 - veil) + colour_between(rng, rng.uniform(60, 200), 255) * veil
    return np.asarray(picture)


def _heap(mask: Levels, extent: float, rng: Generator) -> None:
    """Draw overlapping ovals of about `extent` (a share of each side) into a mask."""
    height, width = mask.shape
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    for _ in range(int(rng.integers(1, 14))):
        place = int(x + rng.normal(0, 2 * extent * width)), int(y + rng.normal(0, extent * height))
        axes = tuple(int(side * extent * rng.uniform(0.3, 1.5)) + 1 for side in (width, height))
        cv2.ellipse(mask, place, axes, rng.uniform(0, 180), 0, 360, 1, -1)


def heaped_clouds(rng: Generator) -> Levels:
    """Paint clouds without end of detail, however weak: torn by the wind, lit from one side, in part with land."""
    size = draw_size(rng)
    y, x = places(size)
    sky = colour_between(rng, 40, 200) * (1 - y) + colour_between(rng, 100, 230) * y
    noise = fractal(rng, size, rng.uniform(1.2, 5), 7, rng.uniform(0.3, 0.65), rng.uniform(1, 5))
    torn = [
        part.astype(np.float32) + max(size) * rng.uniform(0, 0.1) * fractal(rng, size, 2, 4, 0.5)[..., 0]
        for part in np.mgrid[: size[0], : size[1]]
    ]
    noise = cv2.remap(noise[..., 0], torn[1], torn[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)[..., None]
    cloud = rng.uniform(0.3, 1) / (1 + np.exp(-rng.uniform(0.7, 5) * (noise - rng.uniform(-1, 1))))
    lit = rng.uniform(0.6, 1) + rng.uniform(0, 0.25) * (noise - np.roll(noise, max(1, size[0] // 60), 0))
    picture = sky * (1 - cloud) + colour_between(rng, 170, 255) * lit.clip(0.2, 1.1) * cloud
    if rng.random() < 0.4:
        away = np.hypot((x - rng.uniform(0.1, 0.9)) * size[1] / size[0], y - rng.uniform(0.1, 0.8))
        picture = picture + rng.uniform(50, 300) * np.exp(-away / rng.uniform(0.03, 0.2)) * (1 - 0.6 * cloud)
    if rng.random() < 0.4:
        picture = np.where(y > rng.uniform(0.7, 0.95) + 0.01 * noise, picture * rng.uniform(0.05, 0.6), picture)
    return np.asarray(picture * rng.uniform(0.3, 1.05))


def blend(rng: Generator) -> Levels:
    """Paint colours that run into each other, as on wallpapers."""
    size, (rows, columns) = draw_size(rng), rng.integers(2, 7, 2)
    colours = np.concatenate([bumps(rng, size, int(rows), int(columns)) for _ in range(3)], 2)
    return colour_between(rng, 40, 215) + colours * rng.uniform(5, 60)


def folds(rng: Generator) -> Levels:
    """Paint cloth or paper that falls in soft folds."""
    size = draw_size(rng)
    bent = along(size, rng.uniform(0, 2 * np.pi)) + rng.uniform(0, 0.1) * fractal(rng, size, 2, 2, 0.4)
    all_turns = rng.uniform(1, 9, int(rng.integers(1, 5)))
    waves = np.sum([np.sin(2 * np.pi * (turns * bent + rng.uniform())) / turns for turns in all_turns], axis=0)
    grain = unit_noise(rng, size, 0.7, 0.7) * rng.uniform(0, 3) if rng.random() < 0.4 else 0
    return np.asarray(colour_between(rng, 50, 220) * (1 + rng.uniform(0.05, 0.4) * waves) + grain)


def haze(rng: Generator) -> Levels:
    """Paint ridges of hills, the farther the paler, under an empty sky."""
    size = draw_size(rng)
    y, x = places(size)
    picture = colour_between(rng, 130, 220) * (1 - y) + colour_between(rng, 150, 230) * y
    count, ink = int(rng.integers(1, 6)), colour_between(rng, 30, 120)
    for ridge in range(count):
        near, knots = (ridge + 1) / count, np.linspace(0, 1, 20)
        line = 0.35 + 0.5 * near + np.interp(x[0, :, 0], knots, rng.normal(0, rng.uniform(0, 0.04), 20))
        soft = max(size) * rng.uniform(0.001, 0.012) * (1.2 - near)
        cover = near * np.clip((y - line[None, :, None]) * size[0] / (1 + soft) + 0.5, 0, 1)
        picture = picture * (1 - cover * rng.uniform(0.1, 0.9)) + 0.3 * ink * cover
    return np.asarray(picture)


def lights(rng: Generator) -> Levels:
    """Paint lamps, suns or a moon with their halos before a gradient or bands of colour."""
    size = draw_size(rng)
    y, x = places(size)
    stops = np.sort(np.r_[0, rng.uniform(0, 1, int(rng.integers(0, 5))), 1])
    way = along(size, float(rng.choice((np.pi / 2, rng.uniform(0, 2 * np.pi)))))[..., 0]
    dark = rng.uniform(0, 150)
    picture = np.stack([np.interp(way, stops, rng.uniform(dark, dark + 105, len(stops))) for _ in range(3)], 2)
    for _ in range(int(rng.integers(1, 5))):
        away = np.hypot((x - rng.uniform(0, 1)) * size[1] / size[0], y - rng.uniform(0, 1)) / rng.uniform(0.01, 0.12)
        halo = np.exp(-away) if rng.random() < 0.5 else 1 / (1 + away ** rng.uniform(1.5, 3))
        picture = picture + rng.uniform(60, 300) * colour_between(rng, 0.6, 1) * halo
    return np.asarray(picture)


def curtains(rng: Generator) -> Levels:
    """Paint curtains of light: sharp along one rim, fading to the other side, in part among stars."""
    size = draw_size(rng)
    y, x = places(size)
    picture = flat(size, colour_between(rng, 0, 40)) * (1 + rng.uniform(0, 1) * y)
    for _ in range(int(rng.integers(1, 4))):
        knots = np.linspace(0, 1, int(rng.integers(4, 14)))
        rim = rng.uniform(0.3, 0.8) + np.interp(x[0, :, 0], knots, rng.normal(0, rng.uniform(0.02, 0.2), len(knots)))
        above = (rim[None, :, None] - y) / rng.uniform(0.05, 0.3)
        light = np.where(above > 0, np.exp(-above), np.exp(above * rng.uniform(3, 12)))
        rays = 1 + rng.uniform(0, 0.4) * fractal(rng, size, rng.uniform(2, 5), 4, 0.6, rng.uniform(0.1, 0.6))
        picture = picture + colour_between(rng, 0, 220) * light * np.clip(rays, 0, 2)
    if rng.random() < 0.5:
        stars = rng.random(size) < rng.uniform(0.0002, 0.002)
        picture = np.where(stars[..., None], rng.uniform(90, 255), picture)
    return np.asarray(picture)


def petals(rng: Generator) -> Levels:
    """Paint flowers, shells or stars, drawn softly or not, on a ground far out of focus."""
    size = draw_size(rng)
    y, x = places(size)
    ground = np.concatenate([bumps(rng, size, *map(int, rng.integers(2, 9, 2))) for _ in range(3)], 2)
    picture = colour_between(rng, 30, 200) + ground * rng.uniform(3, 35)
    for _ in range(int(rng.integers(1, 4))):
        right, down = (x - rng.uniform(0.2, 0.8)) * size[1] / size[0], y - rng.uniform(0.2, 0.8)
        turn, leaves = np.arctan2(down, right) + rng.uniform(0, 6), int(rng.integers(2, 16))
        away = np.hypot(right, down) / rng.uniform(0.05, 0.4)
        reach = 1 + rng.uniform(0, 0.5) * np.cos(leaves * turn) + rng.uniform(0, 0.2) * np.cos(2 * leaves * turn)
        cover = 1 / (1 + np.exp(-np.clip((reach - away) * np.exp(rng.uniform(2.5, 5)), -30, 30)))
        shade = 1 + rng.uniform(0, 0.35) * np.cos(away * rng.uniform(2, 30) + int(rng.integers(0, 3)) * leaves * turn)
        rough = rng.uniform(0, 10) * fractal(rng, size, 3, 6, rng.uniform(0.4, 0.8)) if rng.random() < 0.6 else 0
        picture = picture * (1 - cover) + (colour_between(rng, 50, 240) * shade + rough) * cover
    return np.asarray(picture)


def blobs(rng: Generator) -> Levels:
    """Paint heaps of soft blobs of many sizes: fair-weather clouds, fruit in haze, wax, jelly."""
    size = draw_size(rng)
    y, x = places(size)
    picture = colour_between(rng, 20, 180) * (1 - y) + colour_between(rng, 60, 230) * y
    depth = np.zeros((*size, 1), np.float32)
    for _ in range(int(rng.integers(1, 9))):
        middle, wide = rng.uniform(0, 1, 2), np.exp(rng.uniform(np.log(0.02), np.log(0.2)))
        for _ in range(int(rng.integers(1, 12))):
            place = middle + rng.normal(0, wide, 2) * (1, rng.uniform(0.2, 1))
            across, down = wide * rng.uniform(0.2, 1.1, 2) * (1, rng.uniform(0.4, 1))
            away = np.hypot((x - place[0]) / across, (y - place[1]) / down)
            depth += np.exp(-(away ** rng.uniform(1.3, 3)))
    cover = 1 - np.exp(-depth * rng.uniform(0.3, 2.5))
    return np.asarray(picture * (1 - cover) + colour_between(rng, 60, 255) * (1 - rng.uniform(0, 0.2) * depth) * cover)


def vapour(rng: Generator) -> Levels:
    """Paint a layer of cloud, steam or smoke as a field of random phases whose power falls by a law."""
    size = draw_size(rng)
    y, _ = places(size)
    down, across = np.fft.fftfreq(size[0])[:, None] * rng.uniform(0.4, 2.5), np.fft.rfftfreq(size[1])[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = np.inf
    waves = np.exp(2j * np.pi * rng.random(frequency.shape)) * frequency ** -(rng.uniform(2, 5) / 2)
    field = np.fft.irfft2(waves, size)[..., None]
    field = field / field.std()
    picture = colour_between(rng, 20, 210) * (1 - y) + colour_between(rng, 60, 230) * y
    if rng.random() < 0.5:
        return np.asarray(picture + colour_between(rng, 0.8, 1.2) * field * rng.uniform(2, 30))
    cover = np.clip(rng.uniform(0.1, 0.7) + rng.uniform(0.1, 0.8) * field, 0, 1) ** rng.uniform(0.7, 2)
    return np.asarray(picture * (1 - cover) + colour_between(rng, 150, 255) * cover)


SOFT: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (soft_shapes, heaped_clouds, blend, folds, haze, lights, curtains, petals, blobs, vapour)
}
