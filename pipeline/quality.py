"""Sharpness, brightness and tones at one working size, and the verdict on them.

Blur and over-exposure leave their marks on scale, spectrum and colour (`pipeline.octaves`, `pipeline.spectrum`,
`pipeline.exposure`); small networks tell these marks from fog, night, skies, soft backgrounds and white paper
(`pipeline.gate`).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink
from pipeline.detail import measure_detail
from pipeline.exposure import exposure_features
from pipeline.gate import load_gate
from pipeline.octaves import focus_features, octave_energies
from pipeline.settings import QualitySettings as QualitySettings
from pipeline.spectrum import Floats, spectrum_features
from pipeline.steps import steep_share
from store.records import Picture, Quality, VerdictKind

_BLANK_CONTRAST = 1.0  # grey levels: nothing is in the picture
_LEAST_SIDE = 48  # pixels: a smaller picture has too few tiles to be called blurred
_LIT = 64  # grey from which a pixel of a dark frame counts as a light
_CLEAR = -4.0  # logarithm of the odds: what a glance calls that sharp is not looked at again
_LENIENCE = 0.25  # logarithm of the odds: of what the networks were taught to spare good pictures, the part taken back
_STEEP = 0.0002  # share of the pixels at which steps are steeper than blur leaves them: a few letters
_PROOF = 4.0  # logarithm of the odds: what such steps count for; of 55 blurred pictures not one has them
_BURNT = 0.25  # logarithm of the odds: as much evidence it takes to say that light has destroyed a picture
_WHITE = 255.0
_SPREAD, _WORD = 0.01, 0.0005  # shares of the darkest and lightest pixels that do not count as tones
_SOFTNESS = 2.0  # logarithm of the odds per unit on the scale from 0 to 100


def working_grey(rgb: Pixels, working_pixels: int = 512) -> Pixels:
    """Return the grey working picture, uint8 [h, w], with its long side reduced to `working_pixels`.

    A smaller picture stays as it is: a pixel is a pixel, and enlarging would blur it.
    """
    return shrink(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), working_pixels)


def measure_quality(rgb: Pixels, grey: Pixels | None = None, detail: float | None = None) -> Quality:
    """Measure an oriented RGB picture, uint8 [h, w, 3]; `grey` is its working picture where that is at hand.

    `detail` is its effective resolution, where that was measured already.
    """
    if grey is None:
        grey = working_grey(rgb)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    cumulative = np.cumsum(histogram)
    used = histogram[histogram > 0]
    brightness, contrast = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    return Quality(
        sharpness=float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0] ** 2),
        brightness=brightness,
        contrast=contrast,
        detail=measure_detail(rgb) if detail is None else detail,
        entropy=float(-(used * np.log2(used)).sum()),
        sharpest=_sharpest(rgb, grey) if contrast >= _BLANK_CONTRAST else 0.0,
        highlights=float(1 - cumulative[_LIT - 1]),
        tones=_tones(rgb, cumulative),
    )


def blur_features(grey: Pixels) -> Floats:
    """Describe what blur does to a grey working picture, uint8 [h, w], float32 [698]: by octaves, then by spectrum."""
    return np.concatenate([focus_features(octave_energies(grey)), spectrum_features(grey)])


def _sharpest(rgb: Pixels, grey: Pixels) -> float:
    """Return 0 to 100: the sharpness of the sharpest region, 50 where blurred and sharp are equally likely.

    Blur must be shown, not assumed: a picture without structure is not called blurred. What looks blurred at the
    working size is looked at as it is.
    """
    if min(grey.shape) < _LEAST_SIDE:
        return 100.0
    features = focus_features(octave_energies(grey))
    score = load_gate("glance").score(features)
    if score > _CLEAR:
        score = (score + load_gate("blur").score(np.concatenate([features, spectrum_features(grey)]))) / 2
    score += _LENIENCE
    if score > 0 and steep_share(rgb) >= _STEEP:
        score -= _PROOF
    return 100 / (1 + math.exp(score / _SOFTNESS))


def _tones(rgb: Pixels, cumulative: NDArray[np.floating]) -> float:
    """Return the spread of grey levels, at least 1; 0 where over-exposure has destroyed the picture.

    White paper, snow and light walls are no such thing. Of a sheet that is white by right, one word counts.
    """
    features = exposure_features(rgb)
    if features is not None and load_gate("blown").score(features) > _BURNT:
        return 0.0
    least = _SPREAD if features is None else _WORD
    low, high = np.searchsorted(cumulative, (least, 1 - least))
    return max(1.0, float(high - low))


def judge_quality(
    quality: Quality, settings: QualitySettings, picture: Picture | None = None
) -> tuple[VerdictKind, str]:
    """Judge a picture by its quality alone: keep, blur, dark or bright, with a reason for people.

    A file that `picture` knows to hold more than was looked at is kept: one page that is blank condemns no others, and
    a drawing that is white on nothing is no blank page.
    """
    if picture is not None and picture.holds_several:
        return VerdictKind.KEEP, "it holds several pictures, and the first says nothing about the others"
    if picture is not None and picture.holds_more:
        return VerdictKind.KEEP, "it is transparent, and what it shows on another ground was not looked at"
    if quality.brightness < settings.min_brightness and quality.highlights < settings.min_lights:
        return VerdictKind.DARK, (
            f"mean brightness {quality.brightness:.1f} is below {settings.min_brightness:g}, and nothing is lit"
        )
    bright = settings.max_brightness if quality.tones else 2 * settings.max_brightness - _WHITE  # the rest may be dark
    if quality.brightness > bright and quality.tones < settings.min_tones:
        told = f"mean brightness {quality.brightness:.1f} is above {bright:g}, and the tones are lost"
        usual = "" if quality.tones else f" (over-exposed: elsewhere up to {settings.max_brightness:g} passes)"
        return VerdictKind.BRIGHT, told + usual
    if quality.sharpest < settings.min_sharpness:
        return VerdictKind.BLUR, (
            f"sharpness {quality.sharpest:.0f} of 100 in the sharpest region is below {settings.min_sharpness:g}"
        )
    return VerdictKind.KEEP, "sharpness, brightness and tones are within the limits"
