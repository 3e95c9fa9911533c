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


SOFT: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter for painter in (soft_shapes, heaped_clouds, blend, folds, haze)
}
