"""Which of two pictures lies within the other: cut from it, or shown on a page."""

import cv2
import numpy as np
import pytest

from pipeline.decode import Pixels
from pipeline.framing import Placement
from pipeline.lineage import stands_among
from pipeline.settings import VerifySettings
from pipeline.verify import prepare, verify
from store.records import Lineage, MatchKind, Relation
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


def bars(shown: Pixels, above: int, below: int) -> Pixels:
    """Set a picture between two dark bars that hold letters, one of them close to it."""
    high, wide = shown.shape[:2]
    whole = np.full((high + above + below, wide, 3), 12, np.uint8)
    whole[above : above + high] = shown
    for line in range(16, above - 6, 18):
        cv2.putText(whole, "12:41  gallery 5G 71%", (6, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240, 240, 240), 1)
    for line in range(above + high + 20, len(whole), 18):
        cv2.putText(whole, "a word about it", (90, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240, 240, 240), 1)
    return whole


@pytest.mark.parametrize(("above", "below"), [(60, 40), (40, 24), (50, 0)])
@pytest.mark.parametrize("seed", range(4))
def test_what_lies_between_bars_with_letters_was_there_before_them(seed: int, above: int, below: int) -> None:
    shown = picture(seed)
    found, back = lineage(shown, bars(shown, above, below)), lineage(bars(shown, above, below), shown)
    assert (found.whole, back.whole) == (1, 2)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_viewer_shows_was_there_before_its_window(seed: int) -> None:
    grains = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (220, 300, 1)).astype(np.float32), (0, 0), 1.2)
    dark = 0.2 * picture(seed) + 25 + 25 * (grains / grains.std())[..., None]
    shown = np.asarray(np.clip(dark, 0, 255), np.uint8)  # rough, and as dark as the ground: no seam all along it
    high, wide = shown.shape[:2]
    window = np.full((high + 160, wide + 160, 3), 44, np.uint8)
    window[:40] = window[-30:] = 90  # bars from side to side, of another grey
    cv2.putText(window, "holiday.jpg", (150, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (240, 240, 240), 1, cv2.LINE_AA)
    window[80 : 80 + high, 80 : 80 + wide] = shown
    found, back = lineage(shown, window), lineage(window, shown)
    assert (found.whole, back.whole) == (1, 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_thing_on_white_that_was_cut_out_came_after_the_whole(seed: int) -> None:
    whole = np.full((400, 480, 3), 255, np.uint8)
    whole[90:310, 90:390] = picture(seed)
    found = lineage(whole, np.ascontiguousarray(whole[60:345, 70:420]))
    assert (found.relation, found.whole) == (Relation.PART, 1)


@pytest.mark.parametrize("cut", [9, 11, 12])
def test_a_page_that_was_cut_in_its_blank_margin_came_after_the_whole(cut: int) -> None:
    """Print begins close to the cut on two sides, but most of the rim is the ground of the margin."""
    whole = np.full((300, 380, 3), 250, np.uint8)
    for line in range(26, 295, 15):
        text = f"{line} words on a page, {line**3} of them"
        cv2.putText(whole, text, (14, line), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (20, 20, 30), 2, cv2.LINE_AA)
    whole[13:16, 14:200] = whole[285:288, 160:366] = 40
    found = lineage(whole, np.ascontiguousarray(whole[cut:-cut, cut:-cut]))
    assert (found.relation, found.whole) == (Relation.PART, 1)


def window(inner: Pixels) -> Pixels:
    """Show something in a window: a dark bar above with letters, a paler one below, its own ground at the sides."""
    whole = cv2.copyMakeBorder(inner, 24, 20, 12, 12, cv2.BORDER_CONSTANT, value=(30, 30, 30))
    whole[:24], whole[-20:] = 68, 120
    cv2.putText(whole, "File  Edit  View", (8, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (230, 230, 230), 1, cv2.LINE_AA)
    return np.asarray(whole, np.uint8)


def test_a_window_that_was_cut_along_its_bars_came_after_the_whole() -> None:
    inner = np.full((220, 340, 3), 30, np.uint8)
    for line in range(20, 215, 14):
        text = "    " * (line % 3) + f"for {line} in range({line**2}): work({line % 7})"
        cv2.putText(inner, text, (4, line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (200, 210, 120), 1, cv2.LINE_AA)
    whole = window(inner)
    found = lineage(whole, np.ascontiguousarray(whole[22:-17, 8:-8]))
    assert (found.relation, found.whole) == (Relation.PART, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_round_thing_on_plain_ground_that_was_cut_out_came_after_the_whole(seed: int) -> None:
    whole = np.full((400, 480, 3), 200, np.uint8)
    mask = np.zeros((400, 480), np.uint8)
    cv2.ellipse(mask, (240, 200), (150, 110), 0, 0, 360, 1, -1)
    whole[90:310, 90:390][mask[90:310, 90:390] > 0] = picture(seed)[mask[90:310, 90:390] > 0]
    found = lineage(whole, np.ascontiguousarray(whole[94:306, 95:385]))
    assert (found.relation, found.whole) == (Relation.PART, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_along_a_calm_line_of_the_scene_is_a_cut(seed: int) -> None:
    whole = picture(seed)
    whole = np.concatenate([np.full((60, whole.shape[1], 3), 200, np.uint8), whole, whole[::-1][:60]])
    found = lineage(whole, np.ascontiguousarray(whole[30:-20]))
    assert (found.relation, found.whole) == (Relation.PART, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_frame_of_several_tones_is_nothing_else_and_letters_are(swapped: bool) -> None:
    shown = picture(3)
    plain = cv2.copyMakeBorder(shown, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(240, 238, 230))
    framed = plain.copy()
    cv2.rectangle(framed, (10, 10), (framed.shape[1] - 11, framed.shape[0] - 11), (90, 60, 30), 8)
    lettered = plain.copy()
    for below in (30, 288):
        cv2.putText(lettered, "Welcome to this wizard", (6, below), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 3)
    onto = np.array([[1, 0, 40], [0, 1, 40], [0, 0, 1]], np.float64)
    for larger, among in ((plain, False), (framed, False), (lettered, True)):
        part, whole = (np.asarray(each[..., 1], np.uint8) for each in (shown, larger))
        place = Placement(part, whole, onto, False, False, 9)
        if swapped:
            place = Placement(whole, part, np.asarray(np.linalg.inv(onto)), True, False, 9)
        for relation in (Relation.INSET, Relation.FRAMED):  # `a` is whole, the other was made from it
            assert stands_among(place, Lineage(relation, 1), 8.0) is among
        assert not stands_among(place, Lineage(Relation.PART, 1), 8.0)


@pytest.mark.parametrize(("words", "letters"), [("Lugano 1974", 0.5), ("12 weeks", 0.4), ("No.7", 0.7)])
@pytest.mark.parametrize("ground", [(252, 250, 246), (0, 0, 0)])
def test_words_in_a_border_are_no_copy_and_a_blank_one_is(
    words: str, letters: float, ground: tuple[int, int, int]
) -> None:
    """A still with its subtitle, a print with what somebody wrote below it: nobody has that again."""
    shown = picture(4)
    blank = np.asarray(cv2.copyMakeBorder(shown, 10, 34, 10, 10, cv2.BORDER_CONSTANT, value=ground), np.uint8)
    written, ink = blank.copy(), (30, 30, 60) if ground[0] else (230, 230, 230)
    cv2.putText(written, words, (90, len(blank) - 10), cv2.FONT_HERSHEY_SIMPLEX, letters, ink, 1, cv2.LINE_AA)
    for ours, theirs in ((shown, written), (written, shown)):
        seen = verify(prepare(ours), prepare(theirs), VerifySettings())
        assert seen.kind is MatchKind.EDITED
        assert "words or other things stand around it" in seen.explanation
    assert verify(prepare(shown), prepare(blank), VerifySettings()).kind is MatchKind.COPY


def test_two_words_in_both_corners_are_no_round_corners_of_a_frame() -> None:
    shown = picture(6)
    written = np.asarray(cv2.copyMakeBorder(shown, 40, 40, 70, 70, cv2.BORDER_CONSTANT, value=(250,) * 3), np.uint8)
    for word, left in (("1971", 6), ("1974", written.shape[1] - 62)):
        cv2.putText(written, word, (left, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2, cv2.LINE_AA)
    assert verify(prepare(shown), prepare(written), VerifySettings()).kind is MatchKind.EDITED


@pytest.mark.parametrize("down", [False, True])
def test_a_border_may_slope_from_grey_to_grey(down: bool) -> None:
    shown = picture(7)
    bordered = np.asarray(cv2.copyMakeBorder(shown, 30, 30, 30, 30, cv2.BORDER_CONSTANT), np.uint8)
    height, width = bordered.shape[:2]
    slope = np.linspace(60, 220, height)[:, None] if down else np.linspace(60, 220, width)[None]
    bordered[:] = np.broadcast_to(slope, (height, width))[..., None].astype(np.uint8)
    bordered[30:-30, 30:-30] = shown
    assert verify(prepare(shown), prepare(bordered), VerifySettings()).kind is MatchKind.COPY


@pytest.mark.parametrize("bars", [(40, 0), (0, 50), (16, 16)])
def test_a_night_scene_was_there_before_the_black_bars_around_it(bars: tuple[int, int]) -> None:
    """Most of its rim is black as well, but it has no ground that is even from pixel to pixel."""
    scene = picture(8).astype(np.float32)
    noise = np.random.default_rng(8).normal(0, 1.5, scene.shape)
    across = np.hypot(*np.meshgrid(np.linspace(-1, 1, 300), np.linspace(-1, 1, 220)))[..., None]
    dark = np.asarray((scene * np.clip(1.15 - across, 0, 1) + 2 + noise).clip(0, 255), np.uint8)
    dark[60:150, :4] = 140  # one lamp reaches the rim
    around = np.asarray(cv2.copyMakeBorder(dark, *(bars[0],) * 2, *(bars[1],) * 2, cv2.BORDER_CONSTANT), np.uint8)
    found = lineage(dark, around)
    assert (found.relation, found.whole) == (Relation.FRAMED, 1)


def test_a_page_cut_askew_came_after_the_whole() -> None:
    page_ = np.full((300, 380, 3), 255, np.uint8)
    for line in range(40, 270, 16):
        text = f"{line} words on a page, {line**3}"
        cv2.putText(page_, text, (40, line), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 30), 1, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((190, 150), 6, 1.0)
    askew = cv2.warpAffine(page_, turn, (380, 300), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    found = lineage(page_, np.ascontiguousarray(np.asarray(askew, np.uint8)[24:-24, 24:-24]))
    assert found.relation is not Relation.FRAMED or found.whole != 2
