"""Which of two pictures lies within the other: cut from it, or shown on a page."""

import cv2
import numpy as np
import pytest

from pipeline.decode import Pixels
from pipeline.settings import VerifySettings
from pipeline.verify import prepare, verify
from store.records import Lineage, Relation
from tests.gallery import draw


def picture(seed: int) -> Pixels:
    return np.asarray(draw(seed, (300, 220)), np.uint8)


def page(shown: Pixels) -> Pixels:
    """Set a picture on a white page, with a line of text above it and hardly any room below."""
    high, wide = shown.shape[:2]
    whole = np.full((high + 29, wide + 28, 3), 255, np.uint8)
    whole[15 : 15 + high, 14 : 14 + wide] = shown
    cv2.putText(whole, "12:41", (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (90, 90, 90), 1, cv2.LINE_AA)
    return whole


def lineage(ours: Pixels, theirs: Pixels) -> Lineage:
    return verify(prepare(ours), prepare(theirs), VerifySettings()).lineage


@pytest.mark.parametrize("seed", range(5))
def test_what_a_page_shows_was_there_before_the_page(seed: int) -> None:
    shown = picture(seed)
    found, back = lineage(shown, page(shown)), lineage(page(shown), shown)
    assert (found.whole, back.whole) == (1, 2)
    assert {found.relation, back.relation} <= {Relation.INSET, Relation.FRAMED}


@pytest.mark.parametrize("seed", range(5))
def test_what_was_cut_out_came_after_the_whole(seed: int) -> None:
    whole = picture(seed)
    found = lineage(whole, np.ascontiguousarray(whole[20:210, 15:280]))
    assert (found.relation, found.whole) == (Relation.PART, 1)
