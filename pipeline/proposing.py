"""Where one picture may lie on another: frame on frame in eight ways, and where corners agree."""

from collections.abc import Iterator

import numpy as np

from pipeline.alignment import Alignment, align, project, refine
from pipeline.framing import frame_corners, frame_to_frame
from pipeline.prepared import WAYS, Prepared
from pipeline.settings import VerifySettings

NEAR_FRAME_PIXELS = 2.0


def propose(a: Prepared, b: Prepared, settings: VerifySettings) -> Iterator[Alignment]:
    """Propose alignments, the cheapest first."""
    as_lies = _lay_over(a, b, settings.min_thumb_correlation)
    if as_lies is not None:
        yield as_lies
    ratio, error = settings.max_descriptor_ratio, settings.max_point_error_pixels
    found = align(a.points, b.points, ratio, error, settings.min_inliers)
    if found is not None:
        found = _straightened(found, a, b)
        if as_lies is None or not np.array_equal(found.matrix, as_lies.matrix):
            yield found
        return
    if as_lies is not None:  # too soft for corners
        yield Alignment(refine(a.grey, b.grey, as_lies.matrix), 0, as_lies.mirrored)


def as_it_lies(a: Prepared, b: Prepared) -> Alignment:
    """Lay frame on frame, neither mirrored nor turned."""
    return Alignment(frame_to_frame(a.grey, b.grey, False, 0), 0, False)


def _lay_over(a: Prepared, b: Prepared, min_correlation: float) -> Alignment | None:
    """Try the eight ways to lay one frame on the other; return the best where the thumbnails correlate."""
    correlations = a.turned_thumbs @ b.thumb.ravel()
    best = int(correlations.argmax())
    if correlations[best] < min_correlation:
        return None
    mirrored, quarter = WAYS[best]
    return Alignment(frame_to_frame(a.grey, b.grey, mirrored, quarter), 0, mirrored)


def _straightened(found: Alignment, a: Prepared, b: Prepared) -> Alignment:
    """Lay frame on frame where the corners found nearly the same: of the two, an edit makes that one."""
    corners = frame_corners(a.grey.shape)
    ours = project(found.matrix, corners)
    apart = np.linalg.norm(ours[:, None] - frame_corners(b.grey.shape), axis=2).min(axis=1)
    for mirrored, quarter in WAYS if apart.max() < NEAR_FRAME_PIXELS else ():
        matrix = frame_to_frame(a.grey, b.grey, mirrored, quarter)
        off = np.linalg.norm(project(matrix, corners) - ours, axis=1)
        if mirrored is found.mirrored and off.max() < NEAR_FRAME_PIXELS:
            return Alignment(matrix, 0, mirrored)
    return found
