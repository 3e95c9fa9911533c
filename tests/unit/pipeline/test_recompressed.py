"""Of two pictures that differ by compression alone, the one that was compressed first is told."""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from pipeline.filters import compare_empty_places, compare_rounding
from pipeline.originals import find_original
from store.records import Lineage, Observation, Relation, Traces
from tests.unit.pipeline.test_descent import NOTHING, opened
from tests.unit.pipeline.test_enlarging import scene
from tests.unit.pipeline.test_originals import drawn, saved
from tests.unit.pipeline.test_originals import seen as observed

SOFT = ImageFilter.GaussianBlur(0.6)
SAME = Lineage(Relation.SAME)


def through(image: Image.Image, form: str, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, form, **options))).convert("RGB")


def traced(data: bytes, folder: Path) -> Traces:
    traces = observed(data, folder)[0].traces
    assert traces is not None
    return traces


def told(original: bytes, copy: bytes, folder: Path) -> int:
    """Compare both ways round."""
    ours, theirs = observed(original, folder)[0], observed(copy, folder)[0]
    found = find_original(ours, theirs, SAME)
    assert find_original(theirs, ours, SAME) == found.turned()
    return found.original


@pytest.mark.parametrize("quality", [50, 70, 85])
@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_what_went_through_another_codec_into_a_finer_file_is_the_copy(form: str, quality: int, tmp_path: Path) -> None:
    original = saved(scene(640, 480).filter(SOFT), quality=82)
    between = through(opened(original), form, quality=quality)
    assert told(original, saved(between, quality=95), tmp_path) == 1


@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_of_two_files_of_one_codec_the_one_that_spent_more_is_the_original(form: str, tmp_path: Path) -> None:
    original = saved(scene(320, 240), form, quality=85)
    copies = {quality: saved(opened(original), form, quality=quality) for quality in (30, 60)}
    assert [told(original, copy, tmp_path) for copy in copies.values()] == [1, 1]


def test_where_a_jpeg_has_nothing_what_was_made_from_it_has_nothing(tmp_path: Path) -> None:
    whole = scene(640, 480).filter(SOFT)
    coarse = saved(whole, quality=75)
    after = traced(saved(through(opened(coarse), "WEBP", quality=60), quality=97), tmp_path)
    before = traced(saved(whole, quality=97), tmp_path)
    made_from, not_made_from = (compare_empty_places(traced(coarse, tmp_path), other) for other in (after, before))
    assert made_from is not None
    assert not_made_from is not None
    assert 2 * made_from < not_made_from
    assert compare_empty_places(after, after) is None, "its steps are as coarse, and leave as much empty"
    assert compare_empty_places(NOTHING, after) is None


def test_rounding_sets_a_coarser_copy_further_apart_than_a_finer_one(tmp_path: Path) -> None:
    whole = scene(640, 480).filter(SOFT)
    fine, coarse = saved(whole, quality=97), saved(whole, quality=70)
    finer = traced(saved(opened(coarse), quality=97), tmp_path)
    made_from, not_made_from = (
        compare_rounding(traced(coarse, tmp_path), other) for other in (finer, traced(fine, tmp_path))
    )
    assert made_from is not None
    assert not_made_from is not None
    assert made_from < 0.15
    assert 0.25 < not_made_from < 0.35
    assert compare_rounding(finer, finer) is None
    assert compare_rounding(NOTHING, finer) is None


def on_white(image: Image.Image) -> Image.Image:
    """Burn out all but dark things: clipping moves nearly every block off its file's grid."""
    return image.filter(SOFT).point(lambda level: min(255, level * 3))


@pytest.mark.parametrize("quality", [95, 98])
def test_a_burnt_out_picture_saved_finer_is_the_copy(quality: int, tmp_path: Path) -> None:
    original = saved(on_white(scene(640, 480)), quality=75)
    assert told(original, saved(opened(original), quality=quality), tmp_path) == 1


def test_a_picture_saved_with_the_finest_steps_is_no_original_of_the_one_without_any(tmp_path: Path) -> None:
    original = saved(scene(640, 480), "PNG")
    for quality in (97, 98, 99):
        assert told(original, saved(opened(original), quality=quality), tmp_path) != 2


def test_of_two_with_the_steps_of_one_before_the_jpeg_was_saved_last(tmp_path: Path) -> None:
    image = through(drawn().filter(SOFT), "JPEG", quality=70)
    assert told(saved(image, "PNG"), saved(image, quality=98), tmp_path) == 1


def test_what_a_filter_hardly_explains_it_did_not_cause(tmp_path: Path) -> None:
    original = saved(scene(640, 480).filter(SOFT), quality=80)
    for quality in (30, 50):
        copy = saved(through(opened(original), "WEBP", quality=quality), "PNG")
        assert told(original, copy, tmp_path) != 2


def test_without_traces_nothing_is_told(tmp_path: Path) -> None:
    ours: Observation = observed(saved(drawn(), quality=90), tmp_path)[0]
    other = replace(ours, picture=replace(ours.picture, pixels_sha256=b"other"), traces=None)
    assert find_original(ours, other, SAME).original == 0


@pytest.mark.parametrize("quality", [70, 80])
def test_steps_that_both_went_through_make_neither_the_original(quality: int, tmp_path: Path) -> None:
    history = through(scene(640, 480).filter(SOFT), "JPEG", quality=quality)
    original = saved(history, quality=quality + 10)
    for copy in (saved(opened(original), quality=97), saved(opened(original), quality=60)):
        assert told(original, copy, tmp_path) == 1


def page(seed: int) -> Image.Image:
    """Draw a screen: a white ground, words in black and colours, a table and a button."""
    drawn_page = Image.new("RGB", (640, 480), (255, 255, 255))
    pen = ImageDraw.Draw(drawn_page)
    chance = random.Random(seed)
    for top in range(20, 440, 26):
        pen.text((20 + chance.randrange(40), top), f"Line {seed} {chance.randrange(10**9)} of a page", (20, 20, 20))
        pen.line((20, top + 18, 600, top + 18), (200, 205, 210))
    pen.rectangle((420, 60, 560, 100), (40, 110, 220))
    pen.text((440, 74), "Save as", (255, 255, 255))
    return drawn_page


@pytest.mark.parametrize("quality", [60, 75, 80, 85, 90, 95])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_screen_that_was_kept_exactly_is_the_original_of_its_jpeg(seed: int, quality: int, tmp_path: Path) -> None:
    exact, lossy = saved(page(seed), "PNG"), saved(page(seed), quality=quality)
    assert len(exact) < len(lossy), "so bytes would prefer the copy"
    assert told(exact, lossy, tmp_path) == 1


def test_a_screen_that_was_decoded_from_a_jpeg_is_not_its_original(tmp_path: Path) -> None:
    lossy = saved(page(3), quality=60)
    assert told(lossy, saved(opened(lossy), "PNG"), tmp_path) == 1


@pytest.mark.parametrize("change", [
    lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    lambda image: image.filter(ImageFilter.UnsharpMask(1, 120, 0)),
    lambda image: image.filter(ImageFilter.GaussianBlur(0.7)),
], ids=["darkened", "sharpened", "blurred"])  # fmt: skip
def test_a_screen_that_was_made_from_a_jpeg_is_no_original_for_being_kept_exactly(
    change: Callable[[Image.Image], Image.Image], tmp_path: Path
) -> None:
    lossy = saved(page(4), quality=85)
    assert told(lossy, saved(change(opened(lossy)), "PNG"), tmp_path) != 2
