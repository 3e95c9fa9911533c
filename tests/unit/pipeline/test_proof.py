"""What it takes for a copy: each thing that a camera or another hand leaves is enough to doubt."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.comparison import Comparison
from pipeline.framing import Framing
from pipeline.proof import MAX_MOVED_CUT, MAX_MOVED_ON_GRID, TINY_WINDOWS, kind_of, may_be_coded, would_as_well
from pipeline.settings import VerifySettings
from store.records import MatchKind

SEEN = Comparison(windows=6_000, textured=0.9, agreement=1.0, detail=1.0, residual=0.002, peak=2.5)
FRAME = Framing(
    source_covered=1.0, target_covered=1.0, same=True, rounded=True, whole=True, filled=False, tilted=False,
    on_grid=False, by_program=False, inset=False, pasted=False, bend=0.0,
)  # fmt: skip
CUT = replace(FRAME, same=False, rounded=False, source_covered=0.9)


def kind(seen: Comparison, framing: Framing, recoloured: float = 0.0, *, few_colours: bool = False) -> MatchKind | None:
    return kind_of(seen, framing, recoloured, VerifySettings(), few_colours=few_colours)


@pytest.mark.parametrize("framing", [FRAME, CUT, replace(CUT, on_grid=True)])
def test_what_is_the_same_is_a_copy(framing: Framing) -> None:
    assert kind(SEEN, framing) is MatchKind.COPY


@pytest.mark.parametrize(
    "fact",
    [
        {"agreement": 0.9}, {"conflict": 0.05}, {"odd_windows": 40}, {"moved_windows": 40}, {"spot_windows": 6},
        {"moved_share": 0.5}, {"detail": 0.7}, {"residual": 0.4}, {"peak": 3.5},
    ],
)  # fmt: skip
def test_each_thing_that_is_left_unexplained_is_an_edit(fact: dict[str, Any]) -> None:
    assert kind(replace(SEEN, **fact), FRAME) is MatchKind.EDITED


def test_a_mild_cut_may_not_have_moved_within_and_a_plain_one_may_have_a_little() -> None:
    plain = replace(CUT, on_grid=True)
    between = replace(SEEN, moved_share=(MAX_MOVED_CUT + MAX_MOVED_ON_GRID) / 2)
    assert (kind(between, CUT), kind(between, plain)) == (MatchKind.EDITED, MatchKind.COPY)
    assert kind(replace(SEEN, moved_share=MAX_MOVED_ON_GRID + 0.01), plain) is MatchKind.EDITED


def test_a_narrow_cut_is_believed_on_the_grid_of_the_files_alone() -> None:
    narrow = replace(CUT, source_covered=0.98)
    assert (kind(SEEN, narrow), kind(SEEN, replace(narrow, on_grid=True))) == (MatchKind.EDITED, MatchKind.COPY)


def test_a_spot_is_forgiven_in_few_colours_and_never_on_paper() -> None:
    spot = replace(SEEN, spot_windows=9)
    assert kind(spot, FRAME, few_colours=True) is MatchKind.COPY
    assert kind(replace(spot, blank=True), FRAME, few_colours=True) is MatchKind.EDITED
    assert kind(replace(spot, blank=True), FRAME, recoloured=2.0) is MatchKind.EDITED
    assert kind(replace(spot, blank=True, page=True), FRAME, few_colours=True) is MatchKind.EDITED


def test_a_single_place_may_stand_out_where_rare_colours_are_missed_and_tones_were_changed() -> None:
    place = replace(SEEN, peak=3.5)
    assert kind(place, CUT) is MatchKind.COPY
    assert kind(place, FRAME, few_colours=True) is MatchKind.COPY
    assert kind(place, FRAME, recoloured=2.0) is MatchKind.COPY
    assert kind(replace(SEEN, peak=12.0), FRAME, recoloured=2.0, few_colours=True) is MatchKind.EDITED


def test_on_an_empty_page_a_place_that_changed_is_all_that_there_is_to_compare_it_with() -> None:
    letter = replace(SEEN, spot_windows=20, page=True, blank=True, peak=1.8, residual=0.0)
    assert kind(letter, FRAME) is MatchKind.COPY, "where there is much to see, no place of it stands out"
    assert kind(replace(letter, textured=0.04), FRAME) is MatchKind.EDITED


def test_a_place_that_leads_all_others_by_far_was_written_there() -> None:
    assert kind(replace(SEEN, lead=1.7), FRAME) is MatchKind.COPY
    assert kind(replace(SEEN, lead=2.2), FRAME) is MatchKind.EDITED
    assert kind(replace(SEEN, lead=1.9), FRAME) is MatchKind.COPY
    assert kind(replace(SEEN, lead=1.9, blank=True), FRAME) is MatchKind.EDITED
    assert kind(replace(SEEN, lead=2.2), FRAME, recoloured=8.0) is MatchKind.COPY
    assert kind(replace(SEEN, lead=5.0), FRAME, recoloured=8.0) is MatchKind.EDITED


def test_edges_that_are_off_all_over_are_those_of_another_pixel_grid() -> None:
    even = replace(SEEN, peak=1.5, moved_windows=40, moved_share=0.3)
    assert kind(even, FRAME) is MatchKind.COPY
    for fact in ({"peak": 2.5}, {"drift_pixels": 0.25}, {"textured": 0.1}, {"odd_windows": 12}, {"moved_share": 0.5}):
        assert kind(replace(even, **fact), FRAME) is MatchKind.EDITED, fact


def test_letters_that_all_changed_a_little_are_the_same_page() -> None:
    page = replace(SEEN, spot_windows=200, blank=True, page=True)
    assert (kind(replace(page, peak=1.8), FRAME), kind(page, FRAME)) == (MatchKind.COPY, MatchKind.EDITED)


def test_thin_lines_of_a_plain_cut_may_go_with_the_gradients_where_next_to_nothing_is_left() -> None:
    plain = replace(CUT, on_grid=True)
    lines = replace(SEEN, moved_share=0.4, moved_windows=30, peak=2.0)
    assert kind(lines, plain) is MatchKind.COPY
    for fact in ({"peak": 2.3}, {"residual": 0.006}, {"drift_pixels": 0.2}, {"odd_windows": 9}, {"moved_share": 0.6}):
        assert kind(replace(lines, **fact), plain) is MatchKind.EDITED
    assert kind(lines, CUT) is MatchKind.EDITED


def test_a_place_may_lead_the_next_by_more_among_few() -> None:
    leading = replace(SEEN, lead=2.5)
    assert kind(leading, FRAME) is MatchKind.EDITED
    tiny = replace(leading, windows=TINY_WINDOWS - 1, residual=0.001)
    assert kind(tiny, FRAME) is MatchKind.COPY
    assert kind(replace(tiny, blank=True), FRAME) is MatchKind.EDITED


CODED = Comparison(
    windows=2_000, textured=0.9, agreement=1.0, detail=0.93, residual=0.05, peak=1.6, lead=1.0, odd_windows=4,
    moved_windows=6, moved_share=0.1, drift_pixels=0.1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "within", "beyond"),
    [
        ("detail", 0.85, 0.80), ("residual", 0.07, 0.08), ("odd_windows", 18, 20), ("moved_windows", 19, 21),
        ("moved_share", 0.14, 0.16), ("spot_windows", 5, 6), ("peak", 2.0, 2.1), ("lead", 1.2, 1.4),
        ("drift_pixels", 0.19, 0.21),
    ],
)  # fmt: skip
def test_what_a_codec_would_do_as_well_is_explained_and_what_it_would_not_is_none(
    fact: str, within: float, beyond: float
) -> None:
    assert would_as_well(CODED, CODED)
    assert would_as_well(replace(CODED, **{fact: within}), CODED)  # type: ignore[arg-type]  # plain fields
    assert not would_as_well(replace(CODED, **{fact: beyond}), CODED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fact", [{"detail": 0.6}, {"residual": 0.3}, {"peak": 3.5}, {"lead": 2.1}, {"drift_pixels": 0.7}]
)
def test_what_no_codec_leaves_is_not_tried(fact: dict[str, Any]) -> None:
    assert may_be_coded(CODED)
    assert not may_be_coded(replace(CODED, **fact))


def test_a_trim_of_a_few_pixels_is_a_cut_only_where_no_camera_could_have_made_it() -> None:
    trimmed = replace(CUT, source_covered=0.985)
    assert kind(SEEN, trimmed) is MatchKind.EDITED
    assert kind(SEEN, replace(trimmed, by_program=True)) is MatchKind.COPY
    assert kind(replace(SEEN, moved_share=2 * MAX_MOVED_CUT), replace(trimmed, by_program=True)) is MatchKind.EDITED
