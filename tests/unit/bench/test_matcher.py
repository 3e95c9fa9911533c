"""How the matcher's answers are turned into outcomes, recall and precision."""

import numpy as np
import pytest

from bench.copies import KINDS
from bench.gallery import Gallery
from bench.matcher import NOT_MATCHED, TIERS, accepted, outcomes, tier_names
from store.records import MatchKind

NAMES = [kind.name for kind in KINDS]
COPY, EDITED, SIMILAR = (TIERS[kind] + 0.5 for kind in (MatchKind.COPY, MatchKind.EDITED, MatchKind.SIMILAR))


def gallery(*kinds: str) -> Gallery:
    count = len(kinds)
    number = np.array([NAMES.index(kind) for kind in kinds])
    zeros = np.zeros(count, np.int64)
    own, silent, pasted = np.arange(count) % 3, np.eye(3) > 0, zeros - 1
    return Gallery((b"",) * 3, (b"",) * count, own, number, zeros, zeros[:3], ("all",), silent, pasted)


def table(*rows: tuple[float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(rows, np.float32)


def test_a_tier_is_one_wide_whatever_the_cosine() -> None:
    for cosine in (-1.0, 0.0, 1.0):
        scores = np.array([TIERS[kind] + 0.499 * (1 + cosine) for kind in (MatchKind.PIXELS, MatchKind.EDITED)])
        assert tier_names(scores) == ["pixels", "edited"]
    assert tier_names(np.array([NOT_MATCHED])) == ["none"]


def test_outcomes_are_shares_per_kind() -> None:
    made = gallery("jpeg", "jpeg", "text")
    told = outcomes(made, table((COPY, -1, -1), (-1, -1, -1), (-1, -1, EDITED)))
    assert told["jpeg"] == {"pixels": 0, "copy": 0.5, "edited": 0, "similar": 0, "none": 0.5}
    assert told["text"]["edited"] == 1
    assert set(told) == {"jpeg", "text"}


def test_edited_is_the_right_answer_where_something_was_added() -> None:
    scores = table((EDITED, -1, -1), (-1, COPY, -1), (-1, -1, EDITED))
    told = accepted(gallery("jpeg", "jpeg", "text"), scores, np.eye(3) > 0)
    assert told["recall"] == pytest.approx(2 / 3)
    assert told["precision"] == 1


def test_another_picture_called_the_same_is_wrong_unless_the_pair_says_nothing() -> None:
    made = gallery("jpeg", "jpeg", "text")
    scores = table((COPY, COPY, SIMILAR), (EDITED, COPY, -1), (-1, -1, EDITED))
    unclear = np.eye(3) > 0
    assert accepted(made, scores, unclear)["wrong"] == 1
    assert accepted(made, scores, unclear)["precision"] == pytest.approx(3 / 4)
    unclear[0, 1] = True
    told = accepted(made, scores, unclear)
    assert (told["wrong"], told["wrong_clear"], told["precision_clear"]) == (1, 0, 1)
