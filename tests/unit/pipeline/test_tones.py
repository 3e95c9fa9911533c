"""Colours of two aligned pictures are compared place by place, however one lies on the other."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.tones import has_other_colours, learn_curves, mix_colours
from pipeline.verify import prepare
from tests.scenes import draw

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


def test_a_drawing_in_few_levels_keeps_its_tones_where_nothing_changed() -> None:
    drawing = np.full((80, 120), 247, np.uint8)
    drawing[20:60, 10:50], drawing[30:50, 60:110] = 241, 32
    drawing[64:76, 10:110] = 37
    whole = np.ones((20, 30), np.bool_)
    first, second = learn_curves(drawing, drawing, (30, 20), whole).applied(drawing, drawing)
    assert np.array_equal(first, drawing) and np.array_equal(second, drawing)


def test_a_curve_is_doubted_at_rare_levels_alone() -> None:
    ground = np.tile(np.arange(100, 148, dtype=np.uint8), (96, 2))
    rare = ground.copy()
    rare[40:44, 40:44] = 240
    curves = learn_curves(ground, rare, (24, 24), np.ones((24, 24), np.bool_))
    doubts = curves.doubts(ground, rare), curves.doubts(rare, ground)
    assert max(int(doubt.max()) for doubt in doubts) > 20
    known = [doubt[rare < 200].max() for doubt in doubts]
    assert known == [0, 0]
    off = 240 - 147
    assert max(int(doubt.max()) for doubt in doubts) < off / 2, "what is written there still shows"


def test_one_change_of_all_colours_is_told_from_a_thing_that_moved() -> None:
    rgb = draw(4, (320, 240))
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 6) % 180
    turned = prepare(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)).tones
    moved = rgb.copy()
    moved[60:140, 90:200] = rgb[60:140, 84:194]
    noise = np.random.default_rng(2).normal(0, 6, rgb.shape)
    noisy = prepare(np.clip(rgb + noise, 0, 255).astype(np.uint8)).tones
    ours = prepare(rgb).tones
    for other, changed in ((turned, True), (prepare(moved).tones, False), (noisy, False), (ours, False)):
        assert has_other_colours(ours, other) is changed
        assert has_other_colours(other, ours) is changed
    assert not has_other_colours(ours, prepare(np.ascontiguousarray(rgb[:-8])).tones)
