"""Rounding tells the parent from the child, and what else was done."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pipeline.descent import Descent, find_descent, sample_blocks
from store.records import Traces
from tests.unit.pipeline.test_originals import drawn, lined, saved

NOTHING = Traces(b"", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
TABLE = tuple(range(10, 74))


def sampled(data: bytes) -> Traces:
    with Image.open(io.BytesIO(data)) as image:
        steps = tuple(getattr(image, "quantization", {}).get(0, ()))
        return replace(NOTHING, blocks=sample_blocks(np.asarray(image.convert("RGB")), steps))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def told(original: bytes, copy: bytes) -> Descent:
    """Compare both ways round."""
    ours, theirs = sampled(original), sampled(copy)
    found, turned = find_descent(ours, theirs), find_descent(theirs, ours)
    assert turned.original == (0, 2, 1)[found.original]
    assert (turned.richer, turned.noisier) == ((0, 2, 1)[found.richer], (0, 2, 1)[found.noisier])
    assert turned.altered == found.altered[::-1]
    return found


@pytest.mark.parametrize("first", [60, 75, 90])
@pytest.mark.parametrize("second", [30, 50, 78, 85, 95])
def test_who_was_saved_again_is_the_child_coarser_or_finer(first: int, second: int) -> None:
    original = saved(drawn(), quality=first)
    found = told(original, saved(opened(original), quality=second, subsampling=0))
    assert found.original == 1
    assert not found.altered[1]


def test_a_picture_without_compression_is_the_parent_of_a_jpeg() -> None:
    plain = saved(drawn(), "PNG")
    assert told(saved(drawn(), quality=60), saved(opened(saved(drawn(), quality=60)), "PNG")).original == 1
    assert told(plain, saved(drawn(), quality=60)).original == 1


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_what_was_written_over_a_part_leaves_the_rest_to_tell(form: str) -> None:
    original = saved(drawn(), quality=75)
    copy = opened(original)
    ImageDraw.Draw(copy).rectangle((180, 200, 460, 300), "white", "black", 5)
    options: dict[str, object] = {"quality": 88} if form == "JPEG" else {}
    found = told(original, saved(copy, form, **options))
    assert found.original == 1
    assert not any(found.rewritten)


def test_what_was_altered_was_not_merely_saved() -> None:
    original = saved(drawn(), quality=80)
    image = opened(original)
    noise = np.random.default_rng(2).normal(0, 8, (480, 640, 1))
    noisy = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    sharp, soft = (image.filter(each) for each in (ImageFilter.UnsharpMask(2, 200, 0), ImageFilter.GaussianBlur(1.2)))
    for copy, richer, noisier in ((noisy, 0, 2), (sharp, 2, 0), (soft, 1, 0)):
        found = told(original, saved(copy, quality=92))
        assert (found.original, found.altered, found.compared) == (0, (True, True), True)
        assert (found.richer, found.noisier) == (richer, noisier)
    assert told(original, saved(image.filter(ImageFilter.GaussianBlur(4)), quality=92)).rewritten == (True, True)


def test_pictures_that_do_not_lie_on_each_other_tell_nothing() -> None:
    original = saved(drawn(), quality=80)
    assert told(original, saved(ImageOps.mirror(opened(original)), quality=60)) == Descent()
    assert told(original, saved(drawn(9), quality=60)) == Descent()
    assert find_descent(NOTHING, sampled(original)) == Descent()


def test_a_grid_that_is_not_the_files_own_tells_nothing() -> None:
    image = opened(saved(drawn(), quality=50))
    moved = np.roll(np.asarray(image), 3, axis=1)  # as a picture turned by its metadata may be
    again = opened(saved(Image.fromarray(moved), quality=80))
    first = replace(NOTHING, blocks=sample_blocks(moved, TABLE))
    second = replace(NOTHING, blocks=sample_blocks(np.asarray(again), TABLE))
    assert find_descent(first, second) == Descent()


@pytest.mark.parametrize("shape", [(8, 8), (64, 70), (3000, 2000)])
def test_a_sample_is_small_whatever_the_picture(shape: tuple[int, int]) -> None:
    blocks = sample_blocks(np.zeros((*shape, 3), np.uint8), TABLE)
    assert len(blocks) == 15 + 30 * min(8, shape[0] // 8) * min(8, shape[1] // 8)
    assert tuple(blocks[:3]) == (TABLE[0], TABLE[1], TABLE[8])


coefficients = st.lists(st.integers(-900, 900), min_size=15 * 16, max_size=15 * 16)
tables = st.sampled_from((bytes(15), bytes([1] * 15), bytes([2] * 15), bytes(range(3, 18)), bytes([20] * 15)))


@given(tables, tables, coefficients, st.lists(st.integers(-40, 40), min_size=15 * 16, max_size=15 * 16))
@settings(max_examples=40)
def test_turning_the_pair_turns_what_is_told(first: bytes, second: bytes, values: list[int], off: list[int]) -> None:
    ours = first + np.array(values, "<i2").tobytes()
    theirs = second + (np.array(values, "<i2") + np.array(off, "<i2")).astype("<i2").tobytes()
    found, turned = (
        find_descent(replace(NOTHING, blocks=one), replace(NOTHING, blocks=other))
        for one, other in ((ours, theirs), (theirs, ours))
    )
    assert turned.original == (0, 2, 1)[found.original]
    assert (turned.richer, turned.noisier) == ((0, 2, 1)[found.richer], (0, 2, 1)[found.noisier])
    assert turned.altered == found.altered[::-1]


def crossed(image: Image.Image) -> Image.Image:
    """Draw lines and a wide band over about half of a picture."""
    layer = Image.new("RGBA", image.size)
    ImageDraw.Draw(layer).rectangle((0, 400, 640, 480), (30, 60, 20, 200))
    lines = lined(image, gap=160, opacity=130, width=9)
    return Image.alpha_composite(lines.convert("RGBA"), layer).convert("RGB")


@pytest.mark.parametrize("first", [65, 80])
@pytest.mark.parametrize("second", [45, 75, 92, None])
def test_lines_all_over_leave_enough_blocks_alone(first: int, second: int | None) -> None:
    original = saved(drawn(), quality=first)
    copy = crossed(opened(original))
    assert told(original, saved(copy, "PNG") if second is None else saved(copy, quality=second)).original == 1


@pytest.mark.parametrize("second", [60, 90, None])
def test_what_was_written_over_is_never_merely_saved(second: int | None) -> None:
    original = saved(drawn(), quality=70)
    for change in (crossed, lambda image: image):
        copy = change(opened(original))
        found = told(original, saved(copy, "PNG") if second is None else saved(copy, quality=second))
        assert found.original == 1
        assert (found.beyond > 8) == (change is crossed)
        assert (found.beyond <= 0) == (change is not crossed)


@pytest.mark.parametrize("hue", ["white", "black", "#777777"])
@pytest.mark.parametrize("second", [60, 90])
def test_neither_is_what_was_painted_over_in_white_or_black(hue: str, second: int) -> None:
    original = saved(drawn(), quality=80)
    copy = opened(original)
    ImageDraw.Draw(copy).rectangle((200, 150, 420, 330), hue)
    found = told(original, saved(copy, quality=second))
    assert found.original == 1
    assert found.beyond > 8


def test_an_original_without_compression_is_told_from_what_was_written_over_and_compressed() -> None:
    original = drawn()
    assert told(saved(original, "PNG"), saved(crossed(original), quality=85)).original == 1


@pytest.mark.parametrize("radius", [0.5, 0.8, 1.2])
@pytest.mark.parametrize("second", [80, 95])
def test_blocks_that_a_blur_moved_little_are_not_left_alone(radius: float, second: int) -> None:
    original = saved(drawn(), quality=55)  # coarse: much lies within half a step
    assert (
        told(original, saved(opened(original).filter(ImageFilter.GaussianBlur(radius)), quality=second)).original != 2
    )
