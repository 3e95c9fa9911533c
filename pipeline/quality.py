"""Sharpness, brightness, detail: what makes a picture worth keeping. First version."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decode import Pixels, shrink
from pipeline.settings import QualitySettings
from store.records import Quality, VerdictKind

_LIT = 64  # grey from which a pixel counts as a light
Grey = NDArray[np.float32]


def measure_quality(rgb: Pixels, settings: QualitySettings | None = None) -> Quality:
    """Measure an oriented RGB picture, uint8 [h, w, 3], at the working size."""
    working = (settings or QualitySettings()).working_pixels
    grey = cv2.cvtColor(shrink(rgb, working), cv2.COLOR_RGB2GRAY)
    histogram = np.bincount(grey.ravel(), minlength=256) / grey.size
    cumulative = np.cumsum(histogram)
    low, high = np.searchsorted(cumulative, (0.01, 0.99))
    used = histogram[histogram > 0]
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return Quality(
        sharpness=sharpness,
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        detail=rgb.shape[0] * rgb.shape[1] / 1e6,
        entropy=float(-(used * np.log2(used)).sum()),
        sharpest=sharpness,
        highlights=float(1 - cumulative[_LIT - 1]),
        tones=float(high - low),
    )


def judge_quality(quality: Quality, settings: QualitySettings) -> tuple[VerdictKind, str]:
    """Judge a picture by its quality alone: keep, blur, dark or bright, with a reason for people."""
    if quality.brightness < settings.min_brightness and quality.highlights < settings.min_lights:
        return VerdictKind.DARK, (
            f"mean brightness {quality.brightness:.1f} is below {settings.min_brightness:g} and nothing in it is lit"
        )
    if quality.brightness > settings.max_brightness and quality.tones < settings.min_tones:
        return VerdictKind.BRIGHT, (
            f"mean brightness {quality.brightness:.1f} is above {settings.max_brightness:g} and no dark tones are left"
        )
    if quality.sharpest < settings.min_sharpness:
        return VerdictKind.BLUR, (
            f"sharpness {quality.sharpest:.0f} is below {settings.min_sharpness:g}, also in the sharpest region"
        )
    return VerdictKind.KEEP, "good enough: sharpness, brightness and tones are within the limits"
