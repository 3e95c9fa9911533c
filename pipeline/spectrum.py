"""What a lens or a hand did to the spectrum of a whole picture: where it fades, and where it dips.

A camera that moved along a curve leaves thin double edges, as steep as sharp ones, wherever the curve turned: no tile
tells them from fine detail. But it leaves the *same* double edges all over the picture. Their distance is a dip in the
power spectrum and a peak in its cepstrum (Bogert, Healy & Tukey 1963; for shaken pictures Cannon 1976), while what a
scene holds differs from place to place and averages out. The spectrum is that of the autocorrelation (Blackman & Tukey
1958) of the Laplacian, evened out so that no strong edge speaks for the whole, at three scales: short paths and long
ones.
"""

from functools import cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink

Floats = NDArray[np.float32]

ANGLES = 16  # over half a turn
RINGS = 63  # features that do not turn with the picture
POLAR = 544  # features that do: [angle, radius]
_LONG_SIDE = 256  # pixels, as for the octaves
_LAGS = 16  # pixels: the farthest that the autocorrelation is looked at
_RADII = ((0.06, 12), (0.05, 12), (0.05, 10))  # per scale, finest first: the lowest of that many frequencies
_HIGHEST = 0.48  # cycles per pixel, of every scale
_DISTANCES = (1.5, 2.5, 3.5, 5.0, 7.0, 9.5, 12.5, 16.0)  # pixels: the rings of the cepstrum
_NEIGHBOURHOOD = (25, 25)  # pixels over which contrast is evened out
_FAINT = 4.0  # (grey per pixel²)²: below it there is only noise, which is not raised
_FLOOR = np.float32(1e-2)  # of the evened-out power


def spectrum_features(grey: Pixels) -> Floats:
    """Describe the power spectrum of a picture, uint8 [h, w], in doublings, float32 [63 + 544].

    First the highest, lowest and typical value in seven rings of the cepstrum at three scales, then the spectrum itself
    by angle (16) and frequency (34, all scales side by side).
    """
    plane = shrink(grey, _LONG_SIDE).astype(np.float32)
    weights, rings = _polar(), _rings()
    turning: list[Floats] = []
    still: list[Floats] = []
    for scale in range(len(_RADII)):
        if scale:
            half = max(1, plane.shape[1] // 2), max(1, plane.shape[0] // 2)
            plane = cast(Floats, cv2.resize(plane, half, interpolation=cv2.INTER_AREA))
        power = np.fft.rfft2(_autocorrelation(_evened(plane)) * _taper()).real.astype(np.float32)
        levels = np.log2(np.maximum(power, 0) + _FLOOR)
        turning.append((weights[scale] @ levels.ravel()).reshape(ANGLES, -1))
        still.append(_ring_figures(levels, rings))
    return np.concatenate([*still, np.concatenate(turning, axis=1).ravel()]).astype(np.float32)


def turned(count: int) -> NDArray[np.intp]:
    """Return where the `POLAR` figures come from when a picture is turned and mirrored, [2 count, 544].

    `count` turns over half a turn, which is all that a power spectrum knows, and as many of the mirror image.
    """
    places = np.arange(POLAR).reshape(ANGLES, -1)
    ways = places, np.roll(places[::-1], 1, axis=0)
    return np.array([np.roll(way, turn, axis=0).ravel() for way in ways for turn in range(0, ANGLES, ANGLES // count)])


def _evened(plane: Floats) -> Floats:
    """Return the Laplacian with an even contrast all over, [h, w] of even sides, at least as large as the lags."""
    lacking = [max(0, 2 * _LAGS + 2 - side) for side in plane.shape]
    if any(lacking):
        plane = cast(Floats, cv2.copyMakeBorder(plane, 0, lacking[0], 0, lacking[1], cv2.BORDER_REFLECT))
    sharp = cast(Floats, cv2.Laplacian(plane, cv2.CV_32F, ksize=1))
    energy = cast(Floats, cv2.blur(cv2.multiply(sharp, sharp), _NEIGHBOURHOOD))
    height, width = (side - side % 2 for side in plane.shape)
    return np.ascontiguousarray(cv2.divide(sharp, cv2.sqrt(energy + _FAINT))[:height, :width], np.float32)


def _autocorrelation(plane: Floats) -> Floats:
    """Return the mean product of pixels at each lag from -16 to 15, lag 0 first, float32 [32, 32]."""
    transform = cv2.dft(plane)
    products = cv2.mulSpectrums(transform, transform, 0, conjB=True)
    every = cast(Floats, cv2.dft(products, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE))
    near = np.empty((2 * _LAGS, 2 * _LAGS), np.float32)
    near[:_LAGS, :_LAGS], near[:_LAGS, _LAGS:] = every[:_LAGS, :_LAGS], every[:_LAGS, -_LAGS:]
    near[_LAGS:, :_LAGS], near[_LAGS:, _LAGS:] = every[-_LAGS:, :_LAGS], every[-_LAGS:, -_LAGS:]
    return near / np.float32(plane.size)


def _ring_figures(levels: Floats, rings: tuple[NDArray[np.intp], ...]) -> Floats:
    cepstrum = np.fft.irfft2(levels, (2 * _LAGS, 2 * _LAGS))[:, : _LAGS + 1].ravel()
    values = [cepstrum[ring] for ring in rings]
    return np.array([f for v in values for f in (v.max(), v.min(), np.sqrt((v * v).mean()))], np.float32)


@cache
def _taper() -> Floats:
    """Return a Hann window over the lags, lag 0 first, float32 [32, 32]."""
    window = np.hanning(2 * _LAGS + 1)[:-1]
    return np.fft.ifftshift(np.outer(window, window)).astype(np.float32)


@cache
def _polar() -> tuple[Floats, ...]:
    """Return, per scale, the weights that read a half spectrum by angle and frequency, [16 * radii, 32 * 17]."""
    return tuple(_reader(np.linspace(lowest, _HIGHEST, count)) for lowest, count in _RADII)


def _reader(radii: NDArray[np.floating]) -> Floats:
    weights = np.zeros((ANGLES, len(radii), 2 * _LAGS, _LAGS + 1), np.float32)
    for angle in range(ANGLES):
        course = angle * np.pi / ANGLES
        for number, radius in enumerate(radii * 2 * _LAGS):
            side = 1 if np.cos(course) >= 0 else -1  # the other half of the spectrum says the same
            x, y = side * np.cos(course) * radius, side * np.sin(course) * radius
            left, top = int(np.floor(x)), int(np.floor(y))
            for right in (0, 1):
                for down in (0, 1):
                    weight = (1 - abs(x - left - right)) * (1 - abs(y - top - down))
                    weights[angle, number, (top + down) % (2 * _LAGS), min(left + right, _LAGS)] += weight
    return weights.reshape(ANGLES * len(radii), -1)


@cache
def _rings() -> tuple[NDArray[np.intp], ...]:
    """Return the places in half a cepstrum, [32 * 17], that lie in each ring."""
    lags = np.fft.ifftshift(np.arange(-_LAGS, _LAGS))
    ring = np.digitize(np.hypot(lags[:, None], lags[None, : _LAGS + 1]), _DISTANCES).ravel()
    return tuple(np.flatnonzero(ring == number) for number in range(1, len(_DISTANCES)))
