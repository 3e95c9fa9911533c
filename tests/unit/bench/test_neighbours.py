"""Scores against neighbours: what each formula asks, pair by pair."""

import numpy as np
from numpy.typing import NDArray

from bench.neighbours import NEAREST, WEIGHT, against_neighbours

Floats = NDArray[np.float32]


def units(count: int, seed: int) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_each_score_is_the_cosine_less_a_share_of_both_neighbourhoods() -> None:
    originals, copies = units(700, 1), units(530, 2)  # more than one block of each
    scores = against_neighbours(originals, copies)
    everything = np.concatenate([copies, originals])
    for copy, original in ((0, 0), (3, 650), (529, 12), (511, 511), (512, 699)):
        pair = copy, len(copies) + original
        others = np.delete(everything, pair, axis=0)
        around = [np.sort(others @ everything[place])[-NEAREST:].mean() for place in pair]
        wanted = copies[copy] @ originals[original] - WEIGHT * sum(around)
        assert abs(scores[copy, original] - wanted) < 1e-5


def test_a_copy_beats_the_next_picture_of_a_scene() -> None:
    random = np.random.default_rng(4)
    scene = random.normal(size=8)
    burst = np.stack([scene + 0.12 * random.normal(size=8) for _ in range(30)]).astype(np.float32)
    burst /= np.linalg.norm(burst, axis=1, keepdims=True)
    lone = units(1, 9)
    copy = lone + 0.2 * units(1, 10)
    copy /= np.linalg.norm(copy)
    plain = np.concatenate([copy, burst[:1]]) @ np.concatenate([lone, burst[1:]]).T
    scores = against_neighbours(np.concatenate([lone, burst[1:]]), np.concatenate([copy, burst[:1]]))
    assert plain[1, 1:].max() > plain[0, 0] - 0.02 and scores[0, 0] > scores[1, 1:].max() + 0.02
