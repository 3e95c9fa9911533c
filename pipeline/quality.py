"""Sharpness, brightness and tones at one working size, and the verdict on them.

What separates a blurred picture from fog, night or a bare wall is not how much fine structure it has, but how wide
its edges are. The mean squared frequency of a region, E[(second derivative)²] / E[(first derivative)²], is 1 / (2 σ²)
for an edge of width σ whatever its contrast. Taken over tiles it finds the one sharp face in front of a soft
background; taken along a direction it finds the smear of a moving camera, which leaves the edges across it sharp.
Structure tensors hold both for every direction at once (after Bigün & Granlund 1987; the frequency as in Rice 1944).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink
from pipeline.detail import measure_detail
from pipeline.settings import QualitySettings as QualitySettings
from store.records import Quality, VerdictKind

Floats = NDArray[np.float32]
AnyFloats = NDArray[np.floating]

_SMOOTH_SIGMA = 1.0  # pixels: below this, noise and JPEG blocks would pass for sharpness
_TILE = 32  # pixels
_STANDARD_ENERGY = 165.0  # (grey per pixel)²: gradient energy of an edgy tile; turns frequencies into variances
_FAINT_ENERGY = 0.1  # (grey per pixel)²: gradients that 8 bits and JPEG make by themselves
_PLAIN_ENERGY = 1.0  # (grey per pixel)²: tiles below this are left out where there are better ones
_FAINT_SHARE = 0.03  # of the strongest tiles' energy: fainter tiles are background, whatever their noise says
_DOUBTFUL_ENERGY = 1.25  # (grey per pixel)²: a sky stays below, so does a picture defocused in thick fog
_DOUBT = 0.8  # how fast a picture without edges gets the benefit of the doubt
_CALM_SHARE = 0.05
_MAX_NOISE = 2.0  # (grey per pixel²)²: noise of some 4 grey levels
_SHARP_TILES = 3  # that many tiles must be sharp
_DIRECTIONS = 12
_SMEARED = (0.55, 0.68)  # sharpness along the worst direction over that along the best: below a smear, above none
_FOCUSED = 0.2  # of the sharpest tiles' squared frequency
_SMEAR_GAIN = 1.2  # the mean over tiles lies below the sharpest three by this much in unblurred pictures
_BLANK_CONTRAST = 1.0  # grey levels: nothing is in the picture
_LIT = 64  # grey from which a pixel of a dark frame counts as a light
_SAMPLE = 128  # pixels a side are enough to count shares
_WHITE = 245  # a pixel with all channels from here on is paper, or lost
_LOST = 0.10  # share of clipped pixels below which exposure has destroyed nothing
_DRAWN = 0.01  # as _BLEACHED: a drawing has none
_INK_SPREAD = 150.0  # grey levels
_THING_SPREAD = 60.0  # grey levels: a light thing on white paper
_BORDER = 0.04  # of the short side
_PAPER_EDGE = 0.9  # share of white pixels around the border that makes the white a background
_CLIPPED = 252
_PASTEL = (140, 235)  # the lowest channel of a bleached pixel: neither paper with a tint nor a pure colour
_BLEACHED = (0.05, 0.12)  # of what is not white: pastel pixels with a clipped channel, burnt skin and cloth
_LEAST_THING = 0.02  # share of the picture


def working_grey(rgb: Pixels, working_pixels: int = 512) -> Pixels:
    """Return the grey working picture, uint8 [h, w], with its long side reduced to `working_pixels`.

    A smaller picture stays as it is: a pixel is a pixel, and enlarging would blur it.
    """
    return shrink(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), working_pixels)


def measure_quality(rgb: Pixels, grey: Pixels | None = None) -> Quality:
    """Measure an oriented RGB picture, uint8 [h, w, 3]; `grey` is its working picture where that is at hand."""
    if grey is None:
        grey = working_grey(rgb)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    cumulative = np.cumsum(histogram)
    darkest, low, high = np.searchsorted(cumulative, (0.002, 0.01, 0.99))
    used = histogram[histogram > 0]
    brightness, contrast = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    return Quality(
        sharpness=float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2),
        brightness=brightness,
        contrast=contrast,
        detail=measure_detail(rgb),
        entropy=float(-(used * np.log2(used)).sum()),
        sharpest=_sharpest(grey) if contrast >= _BLANK_CONTRAST else 0.0,
        highlights=float(1 - cumulative[_LIT - 1]),
        tones=0.0 if _blown_out(rgb, float(high - low), float(high - darkest)) else float(high - low),
    )


def _sharpest(grey: Pixels) -> float:
    """Return the variance of the Laplacian which the sharpest region would have at standard contrast.

    A picture smeared in one direction gets the value of that direction.
    """
    curvature, slope = _tensors(grey)
    energy = slope[0] + slope[1]
    # What even the calmest tiles have is noise; it says nothing about the lens.
    noise = min(float(np.quantile(curvature[0] + curvature[1], _CALM_SHARE)), _MAX_NOISE)
    fine = np.maximum(curvature[0] + curvature[1] - noise, 0)
    strongest = np.sort(energy)[-min(_SHARP_TILES, energy.size)]
    seen = energy >= max(_FAINT_SHARE * strongest, min(_PLAIN_ENERGY, strongest))
    # With the same on both sides, a picture without edges counts as sharp: blur must be shown, not assumed.
    doubt = max(_FAINT_ENERGY, _DOUBT * (_DOUBTFUL_ENERGY - strongest))
    squared = (fine + doubt) / (energy + doubt)
    sharp = float(np.sort(squared[seen])[-min(_SHARP_TILES, int(seen.sum()))])
    # A soft background is no smear: the direction is looked for where the picture is sharp at all.
    focused = squared >= _FOCUSED * sharp
    worst, best = _extremes(curvature[:, focused], slope[:, focused], _FAINT_SHARE * strongest)
    smear = float(np.clip((_SMEARED[1] - worst / best) / (_SMEARED[1] - _SMEARED[0]), 0, 1))
    smeared = min(sharp, worst * _SMEAR_GAIN)
    return float(_STANDARD_ENERGY * sharp ** (1 - smear) * smeared**smear)


def _tensors(grey: Pixels) -> tuple[Floats, Floats]:
    """Return the mean second- and first-derivative tensors (xx, yy, xy) of each tile, float32 [3, tiles]."""
    height, width = grey.shape
    rows, columns = max(1, height // _TILE), max(1, width // _TILE)
    high, wide = min(height, _TILE), min(width, _TILE)
    smooth = cv2.GaussianBlur(np.asarray(grey, np.float32), (0, 0), _SMOOTH_SIGMA)
    padded = np.asarray(cv2.copyMakeBorder(smooth, 2, 2, 2, 2, cv2.BORDER_REFLECT_101), np.float32)
    top, left = (height - rows * high) // 2, (width - columns * wide) // 2
    # One row of tiles at a time stays in the processor's cache: four times as fast as whole maps.
    starts = range(top, top + rows * high, high)
    strips = [
        _strip_tensors(padded[start : start + high + 4, left : left + columns * wide + 4], columns) for start in starts
    ]
    return np.hstack([strip[0] for strip in strips]), np.hstack([strip[1] for strip in strips])


def _strip_tensors(padded: Floats, tiles: int) -> tuple[Floats, Floats]:
    """Return both tensors of one row of tiles; `padded` has two more pixels on every side."""
    centre = padded[2:-2, 2:-2]
    x = (padded[1:-1, 2:] - padded[1:-1, :-2])[:, 1:-1] / 2  # one more row on each side, for xy
    y = (padded[3:-1, 2:-2] - padded[1:-3, 2:-2]) / 2
    xx = padded[2:-2, 3:-1] + padded[2:-2, 1:-3] - 2 * centre
    yy = padded[3:-1, 2:-2] + padded[1:-3, 2:-2] - 2 * centre
    xy = (x[2:] - x[:-2]) / 2
    x = x[1:-1]
    curvature = (_tile_means(a, b, tiles) for a, b in ((xx, xx), (yy, yy), (xy, xx + yy)))
    slope = (_tile_means(a, b, tiles) for a, b in ((x, x), (y, y), (x, y)))
    mixed = _tile_means(xy, xy, tiles)
    xx_mean, yy_mean, xy_mean = curvature
    return np.stack([xx_mean + mixed, yy_mean + mixed, xy_mean]), np.stack(list(slope))


def _tile_means(first: AnyFloats, second: AnyFloats, tiles: int) -> Floats:
    product = (first * second).sum(0)
    return np.asarray(product.reshape(tiles, -1).sum(1) / (first.size // tiles), np.float32)


def _extremes(curvature: Floats, slope: Floats, faint: float) -> tuple[float, float]:
    """Return the mean squared frequency along the worst and the best direction, over all tiles with edges there."""
    angles = np.arange(_DIRECTIONS, dtype=np.float32) * np.float32(np.pi / _DIRECTIONS)
    weights = np.stack([np.cos(angles) ** 2, np.sin(angles) ** 2, np.sin(2 * angles)], 1)
    second, first = weights @ curvature, weights @ slope  # [directions, tiles]
    seen = first > max(faint, _PLAIN_ENERGY / 2)
    enough = seen.sum(1) >= _SHARP_TILES
    if enough.sum() < _DIRECTIONS // 2:
        return 1.0, 1.0  # too few edges to tell a smear from stripes
    ratios = (second * seen).sum(1)[enough] / (first * seen).sum(1)[enough]
    return float(ratios.min()), float(ratios.max())


def _blown_out(rgb: Pixels, spread: float, ink_spread: float) -> bool:
    """Whether over-exposure has destroyed the picture; white paper and light walls are no such thing."""
    size = min(rgb.shape[1], _SAMPLE), min(rgb.shape[0], _SAMPLE)
    red, green, blue = cv2.split(cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST))
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    white = np.asarray(lowest >= _WHITE)
    bleached = float(((highest >= _CLIPPED) & (lowest >= _PASTEL[0]) & (lowest < _PASTEL[1])).mean())
    if white.mean() + bleached < _LOST:
        return False
    bleached /= max(1 - float(white.mean()), _LEAST_THING)
    if spread >= _INK_SPREAD and bleached < _BLEACHED[0]:
        return False  # dark things and hardly a bleached colour: a document, trees in snow
    if ink_spread >= _INK_SPREAD and bleached < _DRAWN:
        return False  # some ink and no bleached colour at all: a screenshot, a drawing
    band = max(1, round(_BORDER * min(white.shape)))
    edges = white[:band], white[-band:], white[:, :band], white[:, -band:]
    paper = float(np.concatenate([edge.ravel() for edge in edges]).mean())
    return not (paper >= _PAPER_EDGE and bleached < _BLEACHED[1] and spread >= _THING_SPREAD)


def judge_quality(quality: Quality, settings: QualitySettings) -> tuple[VerdictKind, str]:
    """Judge a picture by its quality alone: keep, blur, dark or bright, with a reason for people."""
    if quality.brightness < settings.min_brightness and quality.highlights < settings.min_lights:
        return VerdictKind.DARK, (
            f"mean brightness {quality.brightness:.1f} is below {settings.min_brightness:g}, and nothing is lit"
        )
    if quality.brightness > settings.max_brightness and quality.tones < settings.min_tones:
        return VerdictKind.BRIGHT, (
            f"mean brightness {quality.brightness:.1f} is above {settings.max_brightness:g}, and the tones are lost"
        )
    if quality.sharpest < settings.min_sharpness:
        return VerdictKind.BLUR, (
            f"sharpness {quality.sharpest:.0f} in the sharpest region is below {settings.min_sharpness:g}"
        )
    return VerdictKind.KEEP, "sharpness, brightness and tones are within the limits"
