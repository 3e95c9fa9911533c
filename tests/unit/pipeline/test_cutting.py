"""A plain cut is found where nothing but two numbers can be told: in fog, out of focus."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipeline.compression import FileFacts
from pipeline.cutting import find_cut
from pipeline.decode import Pixels
from pipeline.previewing import decode_preview, preview
from pipeline.settings import DecodeSettings, VerifySettings
from pipeline.verify import prepare, verify
from store.records import MatchKind
from tests.gallery import draw

WIDE, HIGH = 1200, 800


def fog(seed: int) -> Pixels:
    """Draw a few soft things in a haze that grows lighter: no corner anywhere."""
    random = np.random.default_rng(seed)
    ground = np.linspace(90, 200, HIGH)[:, None, None] + np.linspace(0, 25, WIDE)[None, :, None]
    far, near = (cv2.GaussianBlur(random.normal(0, 1, (HIGH, WIDE)), (0, 0), reach) for reach in (45, 5))
    things = np.asarray(25 * far / far.std() + 5 * near / near.std())[..., None]
    return np.asarray(np.clip(ground + things * (1.0, 0.9, 0.8), 0, 255), np.uint8)


def planks(seed: int) -> Pixels:
    """Draw a wall of planks in a light that falls off: each corner is like all the others."""
    random = np.random.default_rng(seed)
    across = np.arange(WIDE)
    wall = 40 * np.abs(np.sin(across * np.pi / random.uniform(35, 50)))[None, :, None]
    light = np.exp(-(((across - WIDE * random.uniform(0.3, 0.6)) / 500) ** 2))[None, :, None]
    down = np.linspace(1, 0.7, HIGH)[:, None, None]
    return np.asarray(np.clip((40 + wall + 130 * light) * down * (1.0, 0.8, 0.6), 0, 255), np.uint8)


def small(pixels: Pixels) -> Pixels:
    return decode_preview(preview(pixels, DecodeSettings()))


def facts(pixels: Pixels) -> FileFacts:
    return FileFacts(pixels.shape[1], pixels.shape[0])


def kinds(ours: Pixels, theirs: Pixels, told: bool = True) -> set[MatchKind | None]:
    pairs = ((ours, theirs), (theirs, ours))
    return {
        verify(
            prepare(small(a)), prepare(small(b)), VerifySettings(), (facts(a), facts(b)) if told else None
        ).kind
        for a, b in pairs
    }  # fmt: skip


@pytest.mark.parametrize("box", [(31, 17, 1131, 760), (0, 0, 1150, 790), (77, 101, 700, 560)])
def test_the_place_of_a_cut_is_known_to_a_fraction_of_a_pixel(box: tuple[int, int, int, int]) -> None:
    x0, y0, x1, y1 = box
    whole = fog(4)
    part = whole[y0:y1, x0:x1]
    greys = [np.ascontiguousarray(small(each)[..., 1]) for each in (whole, part)]
    grids = tuple(
        (grey.shape[1] / each.shape[1], grey.shape[0] / each.shape[0])
        for grey, each in zip(greys, (whole, part), strict=True)
    )
    for first, second, turned in ((0, 1, 1), (1, 0, -1)):
        onto = find_cut(greys[first], greys[second], (grids[first], grids[second]))
        assert onto is not None
        back = onto if turned > 0 else np.linalg.inv(onto)
        corner = back @ ((x0 + 0.5) * grids[0][0] - 0.5, (y0 + 0.5) * grids[0][1] - 0.5, 1)
        assert np.abs(corner[:2] - [0.5 * grids[1][0] - 0.5, 0.5 * grids[1][1] - 0.5]).max() < 0.2


@pytest.mark.parametrize("size", [(640, 480), (3000, 2000), (1280, 720), (800, 600), (7, 300), (300, 5)])
def test_every_cut_at_one_side_is_looked_for_once(size: tuple[int, int]) -> None:
    random = np.random.default_rng(6)
    for lost in range(1, min(size[0] // 5, 130)):
        sides = size, (size[0] - lost, size[1])
        scales = [min(384 / max(side), 1) for side in sides]
        shapes = [
            (max(round(high * scale), 1), max(round(wide * scale), 1))
            for (wide, high), scale in zip(sides, scales, strict=True)
        ]
        noise = [random.integers(0, 256, shape, np.uint8) for shape in shapes]
        first, second = ((shape[1] / side[0], shape[0] / side[1]) for shape, side in zip(shapes, sides, strict=True))
        assert find_cut(noise[0], noise[1], (first, second)) is None
        assert find_cut(noise[1], noise[0], (second, first)) is None


def test_a_file_of_few_rows_is_no_cut() -> None:
    thin = np.full((1, 384), 90, np.uint8), np.full((1, 384), 90, np.uint8)
    assert find_cut(*thin, ((384 / 3000, 1 / 5), (384 / 2900, 1 / 5))) is None


def test_no_place_is_told_of_another_picture_or_a_small_part() -> None:
    whole, other = (np.ascontiguousarray(small(fog(seed))[..., 1]) for seed in (1, 2))
    grids = (0.32, 0.32), (384 / 1100, 256 / 730)
    assert find_cut(whole, np.ascontiguousarray(other[:, ::-1]), grids) is None
    assert find_cut(whole, other, ((0.32, 0.32), (384 / 500, 256 / 340))) is None, "less than half of each side"


@pytest.mark.parametrize("draw", [fog, planks])
@pytest.mark.parametrize("seed", [1, 3, 4, 8])
def test_a_cut_is_a_copy_where_the_files_tell_that_it_may_be_one(seed: int, draw: Callable[[int], Pixels]) -> None:
    whole = draw(seed)
    part = whole[40:770, 25:1130]
    assert kinds(whole, part) == {MatchKind.COPY}


@pytest.mark.parametrize("seed", [1, 3, 4, 8])
def test_a_cut_of_the_next_exposure_is_none(seed: int) -> None:
    whole = fog(seed)
    across = (np.arange(WIDE, dtype=np.float32) + 9 * np.sin(np.arange(WIDE) / 170).astype(np.float32))[None, :]
    down = np.arange(HIGH, dtype=np.float32)[:, None]
    places = np.tile(across, (HIGH, 1)), np.tile(down, (1, WIDE))
    moved = cv2.remap(whole, places[0], places[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    part = np.asarray(moved[40:770, 25:1130], np.uint8)
    assert MatchKind.COPY not in kinds(whole, part)


@pytest.mark.parametrize("zoom", [1.004, 1.005])
@pytest.mark.parametrize("seed", [2, 5, 9])
def test_what_lies_beside_a_plain_cut_was_framed_by_a_camera(seed: int, zoom: float) -> None:
    whole = np.asarray(draw(seed, (1000, 700)), np.uint8)
    assert kinds(whole, whole[35:665, 40:930]) == {MatchKind.COPY}
    size = round(1000 * zoom), round(700 * zoom)
    nearer = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    assert kinds(whole, nearer[35:665, 40:930]) == {MatchKind.EDITED}


@pytest.mark.parametrize("size", [(310, 206), (310, 207), (311, 205)])
def test_a_picture_resized_by_a_pixel_or_two_is_no_cut(size: tuple[int, int]) -> None:
    whole = np.asarray(cv2.GaussianBlur(np.asarray(draw(3, (311, 207)), np.uint8), (0, 0), 1), np.uint8)
    assert kinds(whole, np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)) == {MatchKind.COPY}


def test_a_hazy_picture_has_no_detail_that_a_copy_could_lack() -> None:
    hazy = np.asarray(cv2.GaussianBlur(fog(3), (0, 0), 12), np.uint8)
    for quality in (60, 80, 90):
        data = cv2.imencode(".jpg", hazy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        again = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        assert kinds(hazy, np.asarray(cv2.resize(again, (900, 600), interpolation=cv2.INTER_AREA), np.uint8)) == {
            MatchKind.COPY
        }


@pytest.mark.parametrize("quality", [40, 60, 85])
@pytest.mark.parametrize("seed", [2, 3])
def test_a_bird_in_the_haze_is_seen(seed: int, quality: int) -> None:
    hazy = np.asarray(cv2.GaussianBlur(fog(seed), (0, 0), 12), np.uint8)
    flown = hazy.copy()
    bird = np.array([(700, 300), (722, 312), (744, 300)], np.int32)
    cv2.polylines(flown, [bird], False, (60, 60, 60), 5, cv2.LINE_AA)
    again = [
        np.asarray(cv2.imdecode(cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1), np.uint8)
        for each in (hazy, flown)
    ]
    assert kinds(hazy, again[0]) == {MatchKind.COPY}
    assert MatchKind.COPY not in kinds(hazy, again[1])
