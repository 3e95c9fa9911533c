"""What lens, shutter, sensor and file do to light: physical models of defocus, shake, over-exposure and noise.

The quality gate is trained and measured (`python -m bench.quality`) with them.

Widths are shares of the long side. They are compared by the standard deviation they spread a point by, along the axis
they spread it most: that of a disc is half its radius, that of a straight smear its length over the root of twelve.
"""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels

Floats = NDArray[np.float32]
Random = np.random.Generator

_LEVELS = np.arange(256) / 255.0
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
BLURS = ("gaussian", "defocus", "motion", "shake", "tremor", "sway")
EXPOSURES = ("light", "levels", "lift", "stretch", "curve", "channels", "grey")
_CLEAR_SPREAD = 1 / 200  # of the long side: from here on a person calls a picture blurred
_LEAST_SPREAD = 1.5  # pixels
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709
_STEPS = 400  # along the path of a shaken camera
_FINE = 4  # parts of a pixel in which a disc is drawn


def to_light(rgb: Pixels) -> Floats:
    """Return linear light, 0 to 1, of an sRGB picture (IEC 61966-2-1)."""
    return _LINEAR[rgb]


def to_levels(light: Floats) -> Floats:
    """Return sRGB levels, 0 to 255, of linear light; what is beyond 1 clips."""
    light = np.clip(light, 0, 1)
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return np.asarray(levels * 255, np.float32)


def disc(radius: float) -> Floats:
    """Return the spread of a lens out of focus, float32 [n, n]; `radius` in pixels."""
    side = 2 * (int(np.ceil(radius)) + 1) + 1
    y, x = np.mgrid[: side * _FINE, : side * _FINE]
    middle = (side * _FINE - 1) / 2
    fine = ((x - middle) ** 2 + (y - middle) ** 2 <= (radius * _FINE) ** 2).astype(np.float32)
    kernel = cast(Floats, cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))
    return np.asarray(kernel / kernel.sum(), np.float32)


def shake(length: float, angle: float, bend: float = 0.0) -> Floats:
    """Return the path of a camera that moved while the shutter was open, float32 [n, n].

    `length` in pixels; `angle` in radians; `bend` is how far the path turns on the way, in radians.
    """
    half = int(np.ceil(length / 2)) + 2
    course = angle + bend * np.linspace(-0.5, 0.5, _STEPS)
    x, y = (np.cumsum(part) * length / _STEPS for part in (np.cos(course), np.sin(course)))
    return _exposed(x - x.mean(), y - y.mean(), half)


def tremor(sigma: float, random: Random) -> Floats:
    """Return the path of an unsteady hand, float32 [n, n]: a walk whose course and pace change at random.

    `sigma` is how far it spreads a point, in pixels, along the axis it spreads it most.
    """
    course = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, random.uniform(0.5, 5), _STEPS)) / _STEPS**0.5
    pace = np.exp(np.cumsum(random.normal(0, random.uniform(0, 1.5), _STEPS)) / _STEPS**0.5)
    return _path(np.cumsum(pace * np.stack([np.cos(course), np.sin(course)]), axis=1), sigma)


def sway(sigma: float, random: Random) -> Floats:
    """Return the path of a hand that sways while it drifts, float32 [n, n]: few sinusoids and a straight course.

    `sigma` as for `tremor`. Where the hand turns round it dwells: the path has bright ends, and edges become double.
    """
    time = np.linspace(0, 1, _STEPS)
    waves = [
        random.normal(0, 1 / turns, (2, 1)) * np.sin(2 * np.pi * (turns * time + random.uniform()))
        for turns in random.uniform(0.3, 2.5, int(random.integers(1, 4)))
    ]
    return _path(random.normal(0, random.uniform(0, 2), (2, 1)) * time + np.sum(waves, axis=0), sigma)


_WALKS = {"tremor": tremor, "sway": sway}


def _path(path: NDArray[np.floating], sigma: float) -> Floats:
    """Return the light that a path, [2, steps], leaves where it is as large as `sigma` asks for."""
    path = path - path.mean(axis=1, keepdims=True)
    path *= sigma / np.sqrt(np.linalg.eigvalsh(path @ path.T / path.shape[1])[-1])
    return _exposed(path[0], path[1], int(np.ceil(np.abs(path).max())) + 2)


def _exposed(x: NDArray[np.floating], y: NDArray[np.floating], half: int) -> Floats:
    """Return the light that a path, in pixels from the middle, leaves behind, float32 [2 half + 1, 2 half + 1]."""
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    x, y = x + half, y + half
    left, top = x.astype(int), y.astype(int)
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
            np.add.at(kernel, (top + down, left + right), weight)
    return np.asarray(kernel / kernel.sum(), np.float32)


def blurred(rgb: Pixels, kind: str, sigma: float, random: Random) -> Floats:
    """Blur in linear light so that a point spreads by `sigma` pixels; return levels.

    `kind` is "gaussian", "defocus", "motion" (straight), "shake" (along a curve), "tremor" (a random walk) or "sway".
    """
    light = to_light(rgb)
    if kind == "gaussian":
        return to_levels(cast(Floats, cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)))
    if kind == "defocus":
        kernel = disc(2 * sigma)
    elif kind == "motion":
        kernel = shake(sigma * 12**0.5, random.uniform(0, np.pi))
    elif kind in _WALKS:
        kernel = _WALKS[kind](sigma, random)
    else:
        bend = random.uniform(0.8, 2.5) * random.choice((-1, 1))
        kernel = shake(1.1 * sigma * 12**0.5, random.uniform(0, 2 * np.pi), bend)
    return to_levels(cast(Floats, cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT)))


def clear_spread(rgb: Pixels) -> float:
    """Return the spread of a point, in pixels, from which a person calls this picture blurred."""
    return max(_CLEAR_SPREAD * float(max(rgb.shape[:2])), _LEAST_SPREAD)


def overexposed(rgb: Pixels, share: float, how: str, random: Random) -> Floats:
    """Raise the exposure until `share` of all pixels clip, in every channel or in grey; return levels.

    `how` is "light" (linear, as a camera does), "channels" (the same with another colour of light, so that one channel
    clips before the other), "grey" (linear, until the luminance clips: colours remain), "levels" or "lift" (a gain or
    an offset on sRGB levels, as editors do), "stretch" (a gain that leaves black) or "curve" (a gain and a gamma).
    """
    if how in ("light", "channels", "grey"):
        light = to_light(rgb)
        if how == "channels":
            light = light * random.uniform(0.6, 1.6, 3).astype(np.float32)
        reached = light @ _LUMINANCE if how == "grey" else light.min(2)
        return to_levels(light * np.float32(1 / max(float(np.quantile(reached, 1 - share)), 0.004)))
    levels, kept = rgb.astype(np.float32), max(float(np.quantile(rgb.min(2), 1 - share)), 4.0)
    if how == "lift":
        raised = levels + np.float32(255 - kept)
    else:
        black = random.uniform(0, 0.6) * kept if how == "stretch" else 0.0
        raised = (levels - np.float32(black)) * np.float32(255 / (kept - black))
    raised = raised.clip(0, 255)
    return np.asarray(255 * (raised / 255) ** random.uniform(0.5, 1.3) if how == "curve" else raised, np.float32)


def developed(
    levels: NDArray[np.floating], random: Random, noise: float | None = None, quality: int | None = None
) -> Pixels:
    """Add sensor noise (grey levels; drawn from 0 to 3 where None) and save as JPEG (75 to 96 where None)."""
    sigma = random.uniform(0, 3) if noise is None else noise
    noisy = levels + sigma * random.standard_normal(levels.shape, np.float32)
    bgr = np.asarray((noisy + 0.5).clip(0, 255), np.uint8)[..., ::-1]
    fineness = int(random.integers(75, 97)) if quality is None else quality
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, fineness])[1]
    return cast(Pixels, cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))
