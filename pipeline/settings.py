"""Settings of the rooms that need OpenCV, kept apart so that reading a configuration does not import it."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Limits that hold before anything is allocated, and the shape of the stored preview."""

    max_pixels: Annotated[int, Ge(1)] = 250_000_000
    max_bytes: Annotated[int, Ge(1)] = 1 << 30
    preview_pixels: Annotated[int, Ge(32), Le(4096)] = 384  # long side
    preview_quality: Annotated[int, Ge(1), Le(100)] = 85  # of the JPEG


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Where a picture stops being worth keeping. Grey values run from 0 to 255."""

    min_sharpness: Annotated[float, Ge(0)] = 50.0  # of the sharpest region, 0–100; 50: as likely blurred as sharp
    min_brightness: Annotated[float, Ge(0), Le(255)] = 10.0  # mean grey
    max_brightness: Annotated[float, Ge(0), Le(255)] = 210.0  # mean grey
    min_lights: Annotated[float, Ge(0), Le(1)] = 0.0005  # share of lit pixels: a night shot has some
    min_tones: Annotated[float, Ge(0), Le(255)] = 12.0  # grey levels left in a bright frame
    working_pixels: Annotated[int, Gt(0)] = 512  # long side at which all of this is measured
