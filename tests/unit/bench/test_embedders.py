"""Figures are read off one ranking; the curve agrees with them."""

from dataclasses import replace

import numpy as np

from bench.embedders import curve, judge_scores, measure, unclear_pairs
from bench.gallery import Gallery


def gallery() -> Gallery:
    own = np.array([0, 1, 2, 3])
    return Gallery(
        (b"",) * 4, (b"",) * 4, own, np.array([0, 0, 1, 1]), np.zeros(4, np.int64), np.array([0, 0, 1, 1]),
        ("still", "burst"), np.eye(4, dtype=bool), np.full(4, -1), ("jpeg", "crop-50"),
    )  # fmt: skip


SCORES = np.array([[0.9, 0.1, 0.1, 0.1], [0.1, 0.8, 0.1, 0.1], [0.1, 0.1, 0.5, 0.85], [0.1, 0.1, 0.1, 0.7]], np.float32)


def test_pairs_inside_a_burst_are_unclear_and_others_are_not() -> None:
    unclear = unclear_pairs(gallery(), ["burst", "never heard of"])
    assert unclear[2, 3]
    assert not unclear[0, 1]
    assert not unclear[1, 2]


def test_figures_per_kind_leave_bursts_out() -> None:
    told = judge_scores(gallery(), SCORES, unclear_pairs(gallery(), ["burst"]))
    assert told["all"]["recall_99"] == 0.25  # the frame beside the third comes before all right pairs but one
    assert told["clear"]["recall_99"] == 1
    assert set(told["kinds"]) == {"jpeg", "crop-50"}
    assert told["kinds"]["crop-50"]["copies"] == 2


def test_a_copy_that_shows_a_second_picture_is_not_wrong_beside_it() -> None:
    shown = replace(gallery(), pasted=np.array([-1, -1, 3, -1]))
    told = judge_scores(shown, SCORES, unclear_pairs(shown, []))
    assert told["all"]["recall_99"] == 1


def test_the_curve_passes_through_the_figures() -> None:
    silent = np.eye(4, dtype=bool)
    points = curve(SCORES, np.arange(4), silent)
    assert points == [[0.25, 1.0], [0.5, 0.8], [0.75, 0.8], [1.0, 0.8]]  # the best that this recall or more allows
    reached = max(recall for recall, precision in points if precision >= 0.99)
    assert reached == measure(SCORES, np.arange(4), silent).recall_99
