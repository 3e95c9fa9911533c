"""The second look: copies are proven, edits are seen where they are, look-alikes are refused."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.compression import FileFacts
from pipeline.settings import VerifySettings
from pipeline.verify import SecondLook, prepare, verify
from store.records import MatchKind, Relation

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[3]
PHOTOS = ROOT.parent / "shared" / "photos"
needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason="shared/photos is not on this machine")
SETTINGS = VerifySettings()


def scene(seed: int, width: int = 384, height: int = 288) -> Pixels:
    """Draw a picture with soft ground, many shapes and grain; the same for the same seed."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 195, (6, 8, 3)).astype(np.float32)
    canvas = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        colour = tuple(int(c) for c in rng.integers(0, 160) + rng.integers(0, 96, 3))
        x, y, size = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(4, 40))
        if rng.random() < 0.5:
            cv2.circle(canvas, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(canvas, (x, y), (x + size, y + int(rng.integers(4, 40))), colour, -1)
    grain = cv2.GaussianBlur(rng.normal(0, 25, (height, width)).astype(np.float32), (0, 0), 1.0)
    return stored(np.clip(canvas + grain[..., None], 0, 255).astype(np.uint8))


def stored(pixels: Pixels, quality: int = 85) -> Pixels:
    """Write and read a picture as JPEG, as the store of previews does."""
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def fitted(pixels: Pixels) -> Pixels:
    """Bring a picture to the size of a preview."""
    scale = 384 / max(pixels.shape[:2])
    return pixels if scale >= 1 else np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=3), np.uint8)


def look(a: Pixels, b: Pixels) -> SecondLook:
    return verify(prepare(a), prepare(b), SETTINGS)


def crop(share: float) -> Callable[[Pixels], Pixels]:
    def cut(pixels: Pixels) -> Pixels:
        high, wide = (int(side * share**0.5) for side in pixels.shape[:2])
        part = pixels[10 : 10 + high, 14 : 14 + wide]
        scale = 384 / max(part.shape[:2])
        return np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)

    return cut


def turned(degrees: float) -> Callable[[Pixels], Pixels]:
    def turn(pixels: Pixels) -> Pixels:
        high, wide = pixels.shape[:2]
        matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, 1)
        return np.asarray(cv2.warpAffine(pixels, matrix, (wide, high), flags=cv2.INTER_CUBIC), np.uint8)

    return turn


def gamma(power: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.asarray(255 * (pixels / 255.0) ** power, np.uint8)


COPIES: dict[str, tuple[Callable[[Pixels], Pixels], str]] = {
    "same": (lambda p: p, "re-encoded"),
    "jpeg": (lambda p: stored(p, 20), "re-encoded"),
    "half": (lambda p: np.asarray(cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=3), np.uint8), "resized"),
    "darker": (gamma(1.6), "recoloured"),
    "grey": (lambda p: np.asarray(cv2.cvtColor(cv2.cvtColor(p, 6), 8), np.uint8), "recoloured"),
    "blurred": (lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.2), np.uint8), "re-encoded"),
    "mirrored": (lambda p: np.ascontiguousarray(p[:, ::-1]), "mirrored"),
    "quarter": (lambda p: np.ascontiguousarray(np.rot90(p)), "turned by 90°"),
    "crop 90": (crop(0.9), "cropped"),
    "crop 50": (crop(0.5), "cropped"),
    "turned": (turned(8), "turned by 8°"),
    "border": (
        lambda p: fitted(np.asarray(cv2.copyMakeBorder(p, 30, 30, 30, 30, 0, value=(250, 250, 250)), np.uint8)),
        "with a border",
    ),
}


@pytest.mark.parametrize("edit", COPIES)
def test_that_a_copy_is_proven_and_named(edit: str) -> None:
    apply, said = COPIES[edit]
    original = scene(1)
    seen = look(original, stored(apply(original)))
    assert seen.kind is MatchKind.COPY, seen
    assert said in seen.change
    assert seen.difference is None
    assert seen.explanation.startswith(seen.change)
    assert 0.95 < seen.overlap <= 1 or "turned by 8" in seen.change


def with_text(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.putText(pixels.copy(), "for sale", (200, 60), 0, 0.8, (255, 255, 255), 2, cv2.LINE_AA))


def with_sticker(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.circle(pixels.copy(), (250, 60), 18, (20, 220, 250), -1, cv2.LINE_AA))


def with_stamp(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.putText(pixels.copy(), "12:45", (230, 70), 0, 0.4, (0, 200, 255), 1, cv2.LINE_AA))


@pytest.mark.parametrize("edit", [with_text, with_sticker, with_stamp])
def test_that_an_addition_is_edited_and_boxed(edit: Callable[[Pixels], Pixels]) -> None:
    original = scene(2)
    seen = look(original, stored(edit(original)))
    assert seen.kind is MatchKind.EDITED, seen
    assert seen.difference is not None
    left, top, wide, high = seen.difference
    assert left - 0.05 <= 250 / 384 <= left + wide + 0.05
    assert top - 0.05 <= 60 / 288 <= top + high + 0.05
    assert wide * high < 0.3


def test_that_the_box_is_in_the_first_picture_when_the_second_is_mirrored() -> None:
    original = scene(2)
    edited = stored(np.ascontiguousarray(with_sticker(original)[:, ::-1]))
    for a, b, x in ((original, edited, 250 / 384), (edited, original, 1 - 250 / 384)):
        box = look(a, b).difference
        assert box is not None
        assert abs(box[0] + box[2] / 2 - x) < 0.05


def test_that_a_picture_set_into_another_is_no_copy() -> None:
    page = scene(3)
    page[60:204, 120:312] = cv2.resize(scene(4), (192, 144), interpolation=cv2.INTER_AREA)
    seen = look(scene(4), stored(page))
    assert seen.kind is MatchKind.EDITED
    assert "set into another picture" in seen.change


def test_that_known_compression_explains_lost_detail_but_nothing_that_moved() -> None:
    def small(x: int) -> Pixels:
        canvas = cv2.resize(scene(6), (192, 144), interpolation=cv2.INTER_AREA)
        cv2.ellipse(canvas, (x, 40), (9, 5), 30, 0, 360, (240, 235, 250), -1, cv2.LINE_AA)
        return np.asarray(canvas, np.uint8)

    of_first, of_again = FileFacts(192, 144, 2.0), FileFacts(192, 144, 33.6)  # JPEG 92 and 19
    first = prepare(stored(small(60), 92))
    again, moved = (prepare(stored(stored(small(x), 19), 92)) for x in (60, 63))
    assert verify(first, again, SETTINGS).kind is MatchKind.EDITED, "it lost as much as another exposure lacks"
    assert verify(first, again, SETTINGS, (of_first, of_again)).kind is MatchKind.COPY
    assert verify(again, first, SETTINGS, (of_again, of_first)).kind is MatchKind.COPY
    assert verify(first, moved, SETTINGS, (of_first, of_again)).kind is MatchKind.EDITED


def test_that_a_page_around_a_picture_of_the_same_size_is_no_crop() -> None:
    small = cv2.resize(scene(4), (256, 192), interpolation=cv2.INTER_AREA)
    for shrink in (1.0, 1.06):  # whichever of the two is the finer one
        page = scene(3)
        page[48:240, 64:320] = small
        part = stored(np.asarray(cv2.resize(small, None, fx=1 / shrink, fy=1 / shrink, interpolation=3), np.uint8), 92)
        seen = look(stored(page, 92), part)
        assert seen.kind is MatchKind.EDITED, (shrink, seen)
        assert "set into another picture" in seen.change


def test_that_a_crop_along_an_edge_of_the_scene_is_no_inset() -> None:
    whole = np.asarray(cv2.GaussianBlur(scene(19), (0, 0), 2.5) // 2 + 100, np.uint8)
    whole[:, :24] = scene(20)[:, :24] // 4  # a dark wall that ends where the crop begins
    whole[:, 24:26] = 255
    part = np.asarray(cv2.resize(whole[10:278, 24:376], (384, 292), interpolation=cv2.INTER_CUBIC), np.uint8)
    seen = look(stored(whole), stored(part))
    assert "cropped" in seen.change, seen
    assert "set into another picture" not in seen.change


def test_that_a_camera_that_pans_takes_no_copies() -> None:
    wide_view = scene(5, 700, 300)
    for shift in (2, 6, 30):
        seen = look(stored(wide_view[:288, :384].copy()), stored(wide_view[4:292, shift : 384 + shift].copy()))
        assert seen.kind is MatchKind.EDITED, (shift, seen)


def test_that_noise_alone_leaves_a_copy_and_a_moved_thing_does_not() -> None:
    def exposure(x: int, seed: int) -> Pixels:
        canvas = scene(6)
        cv2.rectangle(canvas, (x, 150), (x + 22, 210), (60, 30, 20), -1)
        noisy = canvas + np.random.default_rng(seed).normal(0, 4, canvas.shape)
        return stored(np.clip(noisy, 0, 255).astype(np.uint8))

    assert look(exposure(100, 1), exposure(100, 2)).kind is MatchKind.COPY
    assert look(exposure(100, 1), exposure(106, 2)).kind is MatchKind.EDITED
    assert look(exposure(100, 1), exposure(180, 2)).kind is MatchKind.EDITED


@pytest.mark.parametrize("shift", [0.6, 1.0, 2.0])
def test_that_a_small_thing_that_moved_by_a_pixel_is_seen(shift: float) -> None:
    def exposure(x: float) -> Pixels:
        canvas = scene(6)
        thing = cv2.resize(scene(60), (24, 18), interpolation=cv2.INTER_AREA)
        move = np.array([[1.0, 0.0, x], [0.0, 1.0, 150.0]])
        kept = cv2.warpAffine(np.full(thing.shape, 255, np.uint8), move, (384, 288))[..., :1] / 255.0
        moved = cv2.warpAffine(thing, move, (384, 288), flags=cv2.INTER_LINEAR)
        return stored(np.asarray(canvas * (1 - kept) + moved * kept, np.uint8), 92)

    assert look(exposure(200), exposure(200)).kind is MatchKind.COPY
    assert look(exposure(200), exposure(200 + shift)).kind is MatchKind.EDITED


@pytest.mark.parametrize("shift", [0.4, 0.7])
def test_that_a_camera_that_trembles_takes_no_copies(shift: float) -> None:
    move = np.array([[1.0, 0.0, shift], [0.0, 1.0, -shift / 2]])
    first = scene(14)
    second = cv2.warpAffine(first, move, (384, 288), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    assert look(stored(first, 92), stored(np.asarray(second, np.uint8), 92)).kind is MatchKind.EDITED


@pytest.mark.parametrize("power", [0.45, 2.3])
def test_that_a_strong_gamma_leaves_a_copy(power: float) -> None:
    assert look(scene(15), stored(gamma(power)(scene(15)))).kind is MatchKind.COPY


@pytest.mark.parametrize(("gain", "offset"), [(1.5, 0), (1.0, 50), (0.6, 0), (1.6, -75)])
def test_that_burnt_out_and_drowned_copies_are_copies_either_way(gain: float, offset: float) -> None:
    original = scene(16)
    lit = stored(np.clip(original * gain + offset, 0, 255).astype(np.uint8))
    assert look(original, lit).kind is MatchKind.COPY
    assert look(lit, original).kind is MatchKind.COPY


def test_that_a_sticker_on_a_brightened_copy_is_still_seen() -> None:
    original = scene(16)
    lit = stored(np.clip(with_sticker(original) * 1.3, 0, 255).astype(np.uint8))
    assert look(original, lit).kind is MatchKind.EDITED


def in_perspective(pixels: Pixels, ground: int | None) -> Pixels:
    """Photograph a print at an angle, on grey paper in uneven light or, without ground, so that it fills the frame."""
    high, wide = pixels.shape[:2]
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    bent = np.array([[20, 12], [wide - 8, 24], [wide - 24, high - 9], [10, high - 20]], np.float32)
    across = cv2.getPerspectiveTransform(flat, bent) if ground is not None else cv2.getPerspectiveTransform(bent, flat)
    border = (ground or 0,) * 3
    drawn = cv2.warpPerspective(pixels, across, (wide, high), flags=cv2.INTER_LINEAR, borderValue=border)
    light = np.linspace(0.92, 1.08, wide)[None, :, None]
    return stored(np.clip(drawn * light, 0, 255).astype(np.uint8))


def test_that_a_photographed_print_is_a_copy_and_another_view_of_a_wall_is_not() -> None:
    assert look(scene(17), in_perspective(scene(17), 225)).kind is MatchKind.COPY
    assert look(scene(17), in_perspective(scene(17), None)).kind is MatchKind.EDITED


def test_that_a_look_is_the_same_in_another_process_and_needs_corners_only_when_turned() -> None:
    a, b, c = (prepare(stored(p)) for p in (scene(18), gamma(1.3)(scene(18)), turned(8)(scene(18))))
    assert verify(a, b, SETTINGS).kind is MatchKind.COPY
    assert "points" not in vars(a)
    first, second = pickle.loads(pickle.dumps((a, c)))
    assert verify(first, second, SETTINGS) == verify(a, c, SETTINGS)
    assert "points" in vars(a)


def test_that_screens_sharing_a_frame_are_no_copies() -> None:
    def screen(seed: int) -> Pixels:
        page = scene(7)
        page[40:260, 50:330] = cv2.resize(scene(seed), (280, 220), interpolation=cv2.INTER_AREA)
        return stored(page)

    assert look(screen(8), screen(9)).kind is not MatchKind.COPY


def form(number: str, quality: int) -> Pixels:
    """Draw a page of text with a number at its top, save it as JPEG, and return its preview."""
    page = np.full((1754, 1240, 3), 255, np.uint8)
    for line in range(24):
        words = f"line {line + 1}: consulting services and support, as agreed"
        cv2.putText(page, words, (90, 300 + line * 56), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    cv2.putText(page, number, (880, 220), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    return stored(fitted(stored(page, quality)))


@pytest.mark.parametrize("quality", [85, 60, 40, 25])
def test_that_two_forms_with_another_number_are_no_copies(quality: int) -> None:
    found = look(form("70310", 90), form("70345", quality))
    assert found.kind is MatchKind.EDITED
    assert found.difference is not None
    assert found.difference[1] < 0.2, "the number is at the top"
    # Coarser compression changes the letters of a page as much as another digit would.
    assert look(form("70310", 90), form("70310", max(quality, 85))).kind is MatchKind.COPY


def test_that_a_film_beside_a_still_panel_is_not_the_same_frame() -> None:
    panel, film = scene(3, 192, 80), scene(4, 260, 80)
    first, second = (np.hstack([film[:, at : at + 192], panel]) for at in (0, 12))
    assert look(stored(first), stored(second)).kind is not MatchKind.COPY


def test_that_skies_with_the_same_gradient_are_not_the_same_picture() -> None:
    def sky(seed: int, grain: float) -> Pixels:
        ramp = np.linspace(120, 220, 288, dtype=np.float32)[:, None, None] * np.array([1.0, 0.9, 0.7], np.float32)
        noise = cv2.GaussianBlur(
            np.random.default_rng(seed).normal(0, grain, (288, 384, 3)).astype(np.float32), (0, 0), 1.0
        )
        return stored(np.clip(ramp + noise, 0, 255).astype(np.uint8), 95)

    assert look(sky(1, 8), sky(2, 8)).kind is not MatchKind.COPY
    assert look(sky(1, 0), sky(2, 0)).kind is not MatchKind.COPY or np.array_equal(sky(1, 0), sky(2, 0))
    assert look(sky(1, 8), stored(sky(1, 8), 90)).kind is MatchKind.COPY


@given(first=st.integers(100, 10_000), second=st.integers(10_001, 20_000))
@settings(max_examples=8, deadline=None)
def test_that_different_pictures_never_match(first: int, second: int) -> None:
    assert look(scene(first), scene(second)).kind is None


@given(seed=st.integers(0, 10_000), edit=st.sampled_from(sorted(COPIES)))
@settings(max_examples=8, deadline=None)
def test_that_the_look_is_deterministic_and_knows_no_order(seed: int, edit: str) -> None:
    a, b = scene(seed), stored(COPIES[edit][0](scene(seed)))
    there, again, back = look(a, b), look(a, b), look(b, a)
    assert there == again
    assert there.kind is back.kind


def test_that_the_number_of_threads_changes_nothing() -> None:
    a, b = scene(11), stored(crop(0.6)(scene(11)))
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = look(a, b)
        cv2.setNumThreads(4)
        assert look(a, b) == one
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize("shape", [(1, 1), (1, 384), (384, 2), (7, 9), (20, 300)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_that_tiny_and_flat_pictures_break_nothing(shape: tuple[int, int], level: int) -> None:
    flat = np.full((*shape, 3), level, np.uint8)
    for other in (flat, scene(12)):
        assert look(flat, other).kind is not MatchKind.COPY


def test_that_a_flat_picture_proves_nothing() -> None:
    white = np.full((288, 384, 3), 255, np.uint8)
    assert look(white, white).kind is None


@needs_photos
def test_that_resized_families_are_copies_and_do_not_mix() -> None:
    families = json.loads((PHOTOS / "pairs" / "truth.json").read_text(encoding="utf-8"))["caltech-resized"]
    heads = []
    for family in families[:6]:
        first, other = (fitted(np.asarray(cv2.imread(str(PHOTOS / "pairs" / name)))) for name in family[:2])
        assert look(stored(first), stored(other)).kind is MatchKind.COPY, family
        heads.append(prepare(stored(first)))
    for i, a in enumerate(heads):
        assert all(verify(a, b, SETTINGS).kind is not MatchKind.COPY for b in heads[i + 1 :])


@needs_photos
def test_that_frames_of_a_moving_camera_are_no_copies() -> None:
    video = cv2.VideoCapture(str(PHOTOS / "video" / "solidWhiteRight.mp4"))
    frames = [fitted(np.asarray(video.read()[1])) for _ in range(12)]
    video.release()
    ready = [prepare(stored(frame)) for frame in frames]
    assert all(verify(a, b, SETTINGS).kind is not MatchKind.COPY for a, b in pairwise(ready))


def test_that_the_room_needs_neither_torch_nor_faiss() -> None:
    code = "import sys, pipeline.verify; sys.exit(any(name in sys.modules for name in ('torch', 'faiss')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_that_no_corners_are_sought_where_the_frames_fit_and_the_scene_does_not() -> None:
    first = scene(6)
    second = first.copy()
    second[60:160, 90:250] = scene(7)[60:160, 90:250]
    a, b = prepare(first), prepare(second)
    assert verify(a, b, SETTINGS).kind is MatchKind.EDITED
    assert "points" not in vars(a)


def test_that_rows_which_hardly_go_on_are_cut_off_all_the_same() -> None:
    chance = np.random.default_rng(5)
    stripes = cv2.GaussianBlur(chance.normal(0, 60, (288, 384)).astype(np.float32), (0, 0), sigmaX=2, sigmaY=0.3)
    whole = np.clip(scene(6)[:288, :384].astype(np.float32) / 3 + 80 + 4 * stripes[..., None], 0, 255).astype(np.uint8)
    seen = look(stored(whole, 95), stored(whole[14:], 95))
    assert (seen.kind, seen.lineage.relation, seen.lineage.whole) == (MatchKind.COPY, Relation.PART, 1)


def pier(seed: int) -> Pixels:
    """Draw dark planks before a sky: thin strokes, and half of the picture blank."""
    random = np.random.default_rng(seed)
    picture = np.linspace(170, 195, 256)[:, None] + np.zeros((1, 384))
    across, down = np.arange(384)[None, :], np.arange(116)[:, None]
    planks = 60 + 25 * (np.sin(across) > 0.8) - 20 * (np.sin(down * 1.5) > 0.7)
    picture[140:] = planks + random.normal(0, 3, planks.shape)
    return stored(np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2), 95)


@pytest.mark.parametrize("quality", [80, 60, 40, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_thin_strokes_before_a_sky_are_no_page_of_text(seed: int, quality: int) -> None:
    assert look(pier(seed), stored(pier(seed), quality)).kind is MatchKind.COPY


def told(a: Pixels, b: Pixels) -> SecondLook:
    """Look at two files that were saved as PNG, in the sizes they have."""
    files = [FileFacts(each.shape[1], each.shape[0]) for each in (a, b)]
    return verify(prepare(fitted(a)), prepare(fitted(b)), VerifySettings(), (files[0], files[1]))


@pytest.mark.parametrize("seed", range(3))
def test_that_a_cut_of_a_few_pixels_is_one_where_the_files_tell_that_a_program_made_it(seed: int) -> None:
    large = scene(seed, 1152, 864)
    cut = np.ascontiguousarray(large[:, :-24])
    smaller = np.asarray(cv2.resize(cut, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), np.uint8)
    turned_cut = np.ascontiguousarray(np.rot90(large[:, :-8], 2))
    for copy in (smaller, turned_cut):
        assert told(large, copy).kind is MatchKind.COPY
    assert look(fitted(large), fitted(smaller)).kind is MatchKind.EDITED, "two frames of a camera may lie so"


@pytest.mark.parametrize("shift", [0.6, 1.2])
def test_that_the_next_exposure_in_another_size_is_no_copy(shift: float) -> None:
    generator = np.random.default_rng(8)
    large = cv2.GaussianBlur(scene(5, 1152, 864), (0, 0), 1.2)
    moved = np.array([[1, 0, 3 * shift], [0, 1, -3 * shift]])
    again = cv2.warpAffine(large, moved, (1152, 864), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    one, other = (
        stored(np.clip(each + generator.normal(0, 3, large.shape), 0, 255).astype(np.uint8)) for each in (large, again)
    )
    smaller = np.asarray(cv2.resize(other, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), np.uint8)
    assert told(one, smaller).kind is not MatchKind.COPY
    assert told(smaller, one).kind is not MatchKind.COPY


@pytest.mark.parametrize("shift", [0.35, 0.5])
def test_that_a_program_may_enlarge_by_another_grid(shift: float) -> None:
    small = scene(4, 640, 480)
    onto = np.array([[1.4, 0, 0.2 + 1.4 * shift], [0, 1.4, 0.2 + 1.4 * shift]])
    large = cv2.warpAffine(small, onto, (896, 672), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    assert told(small, np.asarray(large, np.uint8)).kind is MatchKind.COPY


def test_that_a_dialog_is_no_copy_of_the_logo_it_shows() -> None:
    logo = scene(6, 320, 240)
    dialog = np.full((560, 640, 3), (236, 233, 216), np.uint8)
    dialog[60:300, 160:480] = logo
    cv2.putText(dialog, "Welcome! This is the wizard", (40, 380), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    cv2.putText(dialog, "Next  Cancel  Help", (40, 480), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    assert told(dialog, logo).kind is not MatchKind.COPY
    page = dialog.copy()
    page[310:] = (236, 233, 216)
    assert told(page, logo).kind is MatchKind.COPY, "on blank paper nothing is lost with it"
