"""Colours of two aligned pictures are compared place by place, however one lies on the other."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.tones import mix_colours
from pipeline.verify import prepare

HEIGHT, WIDTH = 96, 128


def _stripes() -> NDArray[np.uint8]:
    """Draw narrow saturated stripes: a shift by half a pixel of the reduced colours changes them all."""
    rng = np.random.default_rng(3)
    columns = rng.integers(0, 256, (1, WIDTH // 4, 3), dtype=np.uint8).repeat(4, axis=1)
    rows = rng.integers(0, 2, (HEIGHT // 8, 1, 1), dtype=np.uint8).repeat(8, axis=0) * 60
    return np.asarray(np.minimum(columns // 2 + rows + 40, 255), np.uint8)


@pytest.mark.parametrize(
    ("turned", "onto"),
    [
        (lambda rgb: rgb, np.eye(3)),
        (lambda rgb: rgb[:, ::-1], np.array([[-1, 0, WIDTH - 1], [0, 1, 0], [0, 0, 1.0]])),
        (lambda rgb: rgb[::-1], np.array([[1, 0, 0], [0, -1, HEIGHT - 1], [0, 0, 1.0]])),
        (lambda rgb: rgb.transpose(1, 0, 2), np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])),
    ],
    ids=["as it is", "mirrored", "upside down", "turned"],
)
def test_a_turned_picture_is_not_recoloured(turned: object, onto: NDArray[np.float64]) -> None:
    assert callable(turned)
    source, target = prepare(_stripes()), prepare(np.ascontiguousarray(turned(_stripes())))
    _, _, changed = mix_colours(source.tones, target.tones, onto)
    assert changed < 0.3


def test_a_recoloured_picture_is() -> None:
    source, target = prepare(_stripes()), prepare(np.ascontiguousarray(_stripes()[..., ::-1]))
    _, _, changed = mix_colours(source.tones, target.tones, np.eye(3))
    assert changed >= 1
