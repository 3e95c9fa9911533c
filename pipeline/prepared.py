"""What a second look needs of one preview, computed once and kept: its tones at three sizes, and a thumbnail."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.alignment import Float, Grey
from pipeline.corners import Points, find_points
from pipeline.tones import Colours, Tones

THUMB_PIXELS = 32
WAYS = [(mirrored, quarter) for mirrored in (False, True) for quarter in range(4)]  # to lay one frame on another


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a look needs of one preview: about 200 kB, 80 kB of corners once a look has asked for them, and a page."""

    tones: Tones
    thumb: Float  # [32, 32], mean 0, norm 1
    page: bytes = b""  # `pipeline.fineprint`; empty where there is none

    @property
    def grey(self) -> Grey:
        """Give the grey of the preview [h, w]."""
        return self.tones.grey

    def with_grey(self, grey: Grey) -> "Prepared":
        """Give another grey of the same size to the same colours."""
        small = self.tones.small.copy()
        small[..., 0] = cv2.resize(grey, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
        return Prepared(Tones(grey, self.tones.chroma, small), self.thumb)

    @cached_property
    def turned_thumbs(self) -> Float:
        """Give the thumbnail mirrored and turned in all ways: [8, 1024]."""
        ways = [np.rot90(self.thumb[:, ::-1] if mirrored else self.thumb, -quarter) for mirrored, quarter in WAYS]
        return np.stack(ways).reshape(len(WAYS), -1)

    @cached_property
    def points(self) -> Points:
        """Find the corners; most copies lie over their originals as they are and never need them."""
        return find_points(self.grey)


def prepare(preview_rgb: NDArray[np.uint8], page: bytes = b"") -> Prepared:
    """Compute what `verify` needs of one oriented preview [h, w, 3] RGB uint8, and its page where there is one."""
    return replace(prepare_tones(np.asarray(cv2.cvtColor(preview_rgb, cv2.COLOR_RGB2YCrCb), np.uint8)), page=page)


def prepare_tones(tones: Colours) -> Prepared:
    """Prepare [h, w, 3] grey, Cr and Cb."""
    grey = np.ascontiguousarray(tones[..., 0])
    half, quarter = ((max(grey.shape[1] // n, 1), max(grey.shape[0] // n, 1)) for n in (2, 4))
    halved = cv2.resize(tones, half, interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.resize(halved, quarter, interpolation=cv2.INTER_AREA), np.uint8)
    thumb = cv2.resize(grey, (THUMB_PIXELS, THUMB_PIXELS), interpolation=cv2.INTER_AREA).astype(np.float32)
    thumb = thumb - cv2.GaussianBlur(thumb, (0, 0), THUMB_PIXELS / 4)
    thumb /= float(np.linalg.norm(thumb)) + 1e-3
    return Prepared(Tones(grey, np.ascontiguousarray(halved[..., 1:], np.uint8), small), thumb)
