"""Fine print: pages that differ by a digit are no copies, whatever was done to them as a whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.fineprint import find_other_print, page_of
from pipeline.measuring import MeasureTask, measure
from pipeline.prepared import Prepared
from pipeline.previewing import decode_preview
from pipeline.settings import DecodeSettings, QualitySettings, VerifySettings
from pipeline.verify import SecondLook, prepare, verify
from store.records import MatchKind, Measurement
from tests.papers import statement

Pixels = NDArray[np.uint8]
PREVIEW = DecodeSettings().preview_pixels


def as_jpeg(page: Pixels, quality: int = 85) -> Pixels:
    data = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def turned(page: Pixels) -> Pixels:
    """Turn by half a degree, as a scanner does."""
    size = page.shape[1], page.shape[0]
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 0.5, 1.02)
    return np.asarray(cv2.warpAffine(page, matrix, size, flags=cv2.INTER_CUBIC, borderValue=(255,) * 3), np.uint8)


DONE: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda page: page,
    "JPEG": as_jpeg,
    "three quarters": lambda page: np.asarray(cv2.resize(page, None, fx=0.75, fy=0.75, interpolation=3), np.uint8),
    "darker": lambda page: as_jpeg((page * 0.85).astype(np.uint8)),
    "sharpened": lambda page: cv2.addWeighted(page, 1.6, cv2.GaussianBlur(page, (0, 0), 1.5), -0.6, 0).astype(np.uint8),
    "turned": turned,
    "upside down": lambda page: np.ascontiguousarray(page[::-1, ::-1]),
}


@pytest.fixture
def measured(tmp_path: Path) -> Callable[[Pixels], Prepared]:
    def one(page: Pixels) -> Prepared:
        path = tmp_path / "page.png"
        cv2.imwrite(str(path), page)
        seen = measure(MeasureTask(str(path), 96), DecodeSettings(), QualitySettings())
        assert isinstance(seen, Measurement)
        return prepare(decode_preview(seen.preview), seen.page)

    return one


def look(a: Prepared, b: Prepared) -> SecondLook:
    return verify(a, b, VerifySettings())


@pytest.mark.parametrize("done", DONE)
def test_a_page_is_its_own_copy_and_none_of_one_with_another_digit(
    done: str, measured: Callable[[Pixels], Prepared]
) -> None:
    ours = measured(statement("2,810.00"))
    same, other = (measured(DONE[done](statement(total))) for total in ("2,810.00", "2,310.00"))
    assert look(ours, same).kind is MatchKind.COPY
    for a, b in ((ours, other), (other, ours)):
        assert look(a, b).kind is MatchKind.EDITED, done


def test_it_says_so_and_where(measured: Callable[[Pixels], Prepared]) -> None:
    ours, other = measured(statement("2,810.00")), measured(DONE["sharpened"](statement("2,310.00")))
    seen = look(ours, other)
    assert seen.kind is MatchKind.EDITED and "not what is written there" in seen.explanation
    assert seen.difference is not None
    left, top, wide, high = seen.difference
    assert left * 1130 < 1000 and (left + wide) * 1130 > 880  # the sum stands from 880 to 1000, above 1340
    assert top * 1600 < 1345 and (top + high) * 1600 > 1315


def test_print_near_the_rim_is_read(measured: Callable[[Pixels], Prepared]) -> None:
    pages = []
    for branch in ("main", "next"):
        page = statement("1.00")
        cv2.putText(page, branch, (8, 1588), 0, 0.7, (20, 20, 20), 1, cv2.LINE_AA)
        pages.append(measured(page))
    assert look(*pages).kind is MatchKind.EDITED


def test_without_pages_the_previews_alone_answer(measured: Callable[[Pixels], Prepared]) -> None:
    ours, other = measured(statement("2,810.00")), measured(DONE["sharpened"](statement("2,310.00")))
    assert look(ours, Prepared(other.tones, other.thumb)).kind is MatchKind.COPY


def test_a_page_is_kept_of_print_alone() -> None:
    page = statement("1.00")
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (1200, 900, 3)).astype(np.uint8)
    sky = np.full((1200, 900, 3), 200, np.uint8)
    assert page_of(page, PREVIEW)
    assert not page_of(noise, PREVIEW)
    assert not page_of(sky, PREVIEW)
    assert not page_of(np.asarray(cv2.GaussianBlur(page, (0, 0), 6), np.uint8), PREVIEW)
    assert not page_of(page[:380, :400], PREVIEW)  # a preview says it all
    assert not page_of(page[:20], PREVIEW)


@pytest.mark.parametrize(("high", "wide"), [(3200, 2260), (9000, 700)])
def test_a_large_page_is_reduced_and_a_strip_stays_readable(high: int, wide: int) -> None:
    large = np.full((high, wide, 3), 255, np.uint8)
    for y in range(60, high, 80):
        cv2.putText(large, "print that is to be read", (40, y), 0, 1.4, (0, 0, 0), 2, cv2.LINE_AA)
    kept = cv2.imdecode(np.frombuffer(page_of(large, PREVIEW), np.uint8), cv2.IMREAD_UNCHANGED)
    assert kept is not None and kept.ndim == 2
    assert 0.98 * 2_000_000 < kept.size < 1.02 * 2_000_000
    assert kept.shape[0] / kept.shape[1] == pytest.approx(high / wide, rel=0.01)


@pytest.mark.parametrize("light", [0.4, 0.2])
def test_dark_print_is_print(light: float) -> None:
    assert page_of((statement("1.00") * light).astype(np.uint8), PREVIEW)


def test_print_in_pale_grey_is_read(measured: Callable[[Pixels], Prepared]) -> None:
    pages: list[Prepared] = []
    for name in ("2,810.00", "2,310.00"):
        page = DONE["sharpened"](statement("1.00")) if pages else statement("1.00")
        cv2.putText(page, name, (500, 1450), 0, 0.8, (150, 150, 150), 1, cv2.LINE_AA)
        pages.append(measured(page))
    assert look(*pages).kind is MatchKind.EDITED
    assert "not what is written there" in look(*pages).explanation


@pytest.mark.parametrize("done", [name for name in DONE if name != "turned"])  # corners depend on the order
@pytest.mark.parametrize("total", ["2,810.00", "2,310.00"])
def test_the_order_of_two_pages_does_not_matter(done: str, total: str, measured: Callable[[Pixels], Prepared]) -> None:
    ours, other = measured(statement("2,810.00")), measured(DONE[done](statement(total)))
    assert look(ours, other).kind is look(other, ours).kind


def test_the_place_is_told_in_shares_of_the_first(measured: Callable[[Pixels], Prepared]) -> None:
    ours, smaller = measured(statement("2,810.00")), measured(DONE["three quarters"](statement("2,310.00")))
    upright = np.diag([smaller.grey.shape[1] / ours.grey.shape[1], smaller.grey.shape[0] / ours.grey.shape[0], 1.0])
    there = find_other_print(ours, smaller, upright, recoloured=False)
    back = find_other_print(smaller, ours, np.linalg.inv(upright), recoloured=False)
    assert there is not None and back is not None
    for left, top, wide, high in (there, back):
        assert 870 < (left + wide / 2) * 1130 < 1010 and 1310 < (top + high / 2) * 1600 < 1350


def test_a_damaged_page_is_none(measured: Callable[[Pixels], Prepared]) -> None:
    ours, other = measured(statement("2,810.00")), measured(DONE["sharpened"](statement("2,310.00")))
    for page in (b"\xff\xd8page\xff\xd9", ours.page[:2] + ours.page[-2:]):
        assert look(ours, replace(other, page=page)).kind is MatchKind.COPY


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.diag([1e6, 1e6, 1.0]), np.diag([1e-6, 1e-6, 1.0])])
def test_no_page_is_laid_where_it_cannot_lie(
    matrix: NDArray[np.float64], measured: Callable[[Pixels], Prepared]
) -> None:
    ours, other = measured(statement("2,810.00")), measured(statement("2,310.00"))
    assert find_other_print(ours, other, matrix, recoloured=False) is None
