"""Effective resolution: how many megapixels of a picture carry something."""

from pipeline.decode import Pixels


def measure_detail(rgb: Pixels) -> float:
    """Return the effective resolution in megapixels."""
    return rgb.shape[0] * rgb.shape[1] / 1e6
