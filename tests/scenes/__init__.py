"""Pictures drawn by code: twenty-four kinds of scene, each different again for every seed.

They stand in for photographs in tests and in the demo, so they have what the stages look at: edges, texture,
colours, grain, and compositions that no hash or embedding takes for one another.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tests.scenes import indoors, outdoors
from tests.scenes.canvas import Canvas, Image

PAINTERS: Sequence[Callable[[Canvas], None]] = tuple(
    painter for pair in zip(outdoors.PAINTERS, indoors.PAINTERS, strict=True) for painter in pair
)


def draw(seed: int, size: tuple[int, int] = (640, 480)) -> Image:
    """Draw a picture: RGB, uint8, [height, width, 3]; `size` is (width, height) in pixels.

    The same seed and size give the same pixels; seeds closer than `len(PAINTERS)` differ in kind.
    """
    canvas = Canvas(np.random.default_rng(seed), size)
    PAINTERS[seed % len(PAINTERS)](canvas)
    return canvas.developed()
