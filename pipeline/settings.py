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


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """When two aligned pictures count as the same picture. A window is 16 pixels of a preview wide."""

    max_descriptor_ratio: Annotated[float, Gt(0), Le(1)] = 0.85  # nearest against second nearest corner
    max_point_error_pixels: Annotated[float, Gt(0)] = 3.0  # for a corner to agree with the transform
    min_inliers: Annotated[int, Ge(4)] = 12  # corners that must agree on one transform
    min_thumb_correlation: Annotated[float, Gt(0), Le(1)] = 0.8  # to compare two pictures as they lie
    min_texture_levels: Annotated[float, Gt(0)] = 3.0  # grey levels of deviation that make a window textured
    min_textured_share: Annotated[float, Ge(0), Le(1)] = 0.05  # below, a picture is flat: only grain proves
    min_correlation: Annotated[float, Gt(0), Le(1)] = 0.6  # inside a window, for it to agree
    min_agreement: Annotated[float, Gt(0), Le(1)] = 0.93  # share of textured windows, for a copy
    min_edited_agreement: Annotated[float, Gt(0), Le(1)] = 0.6  # the same, for an edited picture
    max_outlier: Annotated[float, Gt(1)] = 12.0  # a window against the whole
    max_odd_windows: Annotated[int, Ge(0)] = 20  # touching windows that differ, for a copy: a spot of 5 pixels
    max_odd_recoloured: Annotated[int, Ge(0)] = 40  # as many more where tones or colours changed as a whole
    max_drift_pixels: Annotated[float, Gt(0)] = 0.3  # by which the windows of one and the same frame may drift
    max_grain: Annotated[float, Ge(0), Le(3)] = 1.2  # how much like two exposures, drift in pixels added
    max_conflict: Annotated[float, Ge(0), Le(1)] = 0.03  # share of all windows, for a copy
    min_detail: Annotated[float, Ge(0), Le(1)] = 0.82  # share of fine detail that must be shared, for a copy
    min_detail_small: Annotated[float, Ge(0), Le(1)] = 0.97  # the same, for an overlap of few windows
    max_residual: Annotated[float, Gt(0), Le(2)] = 0.3  # typical share of a window left unexplained
    max_moved: Annotated[float, Ge(0), Le(1)] = 0.2  # what one lacks, up to which a frame moved a little
    min_detail_moved: Annotated[float, Ge(0), Le(1)] = 0.95  # `min_detail` for such a frame
    max_residual_moved: Annotated[float, Gt(0), Le(2)] = 0.05  # `max_residual` for any other frame
    min_trim: Annotated[float, Ge(0), Le(1)] = 0.035  # share that must be gone before it counts as a crop
    max_bend: Annotated[float, Gt(0)] = 0.002  # of a corner, in long sides, beyond turning, scaling and stretching
    max_fill_levels: Annotated[float, Gt(0)] = 6.0  # deviation of a flat border from its grey
