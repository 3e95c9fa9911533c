"""What a second look says of two aligned pictures: what was done, and where."""

import numpy as np

from pipeline.alignment import project
from pipeline.comparison import Comparison
from pipeline.framing import Framing, Placement
from store.records import MatchKind


def find_difference(place: Placement, seen: Comparison) -> tuple[float, float, float, float] | None:
    """Give the box where the pair differs as shares of `a`."""
    return None if seen.odd_box is None else in_shares(place, seen.odd_box)


def in_shares(place: Placement, target_box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Turn a box of the target, left, top, right and bottom in pixels, into x, y, width and height as shares of `a`."""
    x0, y0, x1, y1 = target_box
    box = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    height, width = place.target.shape
    if not place.swapped:
        box = project(np.asarray(np.linalg.inv(place.onto)), box)
        height, width = place.source.shape
    left, top = np.clip(box.min(axis=0) / [width, height], 0, 1)
    right, bottom = np.clip(box.max(axis=0) / [width, height], 0, 1)
    return float(left), float(top), float(right - left), float(bottom - top)


def say_change(place: Placement, framing: Framing, seen: Comparison, kind: MatchKind | None, recoloured: float) -> str:
    """Say in words what was done."""
    parts: list[str] = []
    if place.mirrored:
        parts.append("mirrored")
    if place.turned:
        parts.append(f"turned by {abs(place.degrees):.0f}°")
    if framing.filled and framing.source_covered == 1:
        parts.append("with a border")
    elif framing.inset:
        parts.append("set into another picture")
    elif min(framing.source_covered, framing.target_covered) < 0.97:
        parts.append("cropped")
    if recoloured >= 1:
        parts.append("recoloured")
    if kind is MatchKind.EDITED and seen.odd_box is not None and not framing.inset:
        parts.append("edited in one place")
    if not parts:
        parts.append("re-encoded" if place.source.shape == place.target.shape else "resized")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
