"""Two frames of a standing camera: what stood still was merely saved, and what moved a little shows beside it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.coherence import coherent_share
from pipeline.compression import FileFacts, Known
from pipeline.settings import VerifySettings
from pipeline.siblings import find_by_previews, find_by_samples
from pipeline.verify import Prepared, verify
from store.records import MatchKind
from tests.gallery import draw
from tests.unit.pipeline.test_saving import filed as saved

WIDE, HIGH = 240, 184
Frame = NDArray[np.uint8]
Filed = tuple[Prepared, FileFacts]


def blobs(size: tuple[int, int], sigma: float, deviation: float, seed: int) -> NDArray[np.float32]:
    chance = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
    soft = cv2.GaussianBlur(chance, (0, 0), sigma)
    return np.asarray(deviation * soft / soft.std(), np.float32)


def frame_of(turned: float) -> Frame:
    """Draw a room, and before it a face that moved so many pixels to the right: [HIGH, WIDE, 3]."""
    room = 130 + blobs((HIGH, WIDE), 3.0, 25.0, 1)
    face = 120 + blobs((HIGH, WIDE), 2.0, 26.0, 2)
    there = np.zeros((HIGH, WIDE), np.float32)
    cv2.ellipse(there, (130, 90), (28, 26), 0, 0, 360, 1.0, -1)
    step = np.array([[1, 0, turned], [0, 1, 0]], np.float32)
    face, there = (
        np.asarray(cv2.warpAffine(part, step, (WIDE, HIGH), borderMode=cv2.BORDER_REFLECT), np.float32)
        for part in (face, cv2.GaussianBlur(there, (0, 0), 1.0))
    )
    grey = np.clip(room + there * (face - room), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def filed(picture: Image.Image, path: Path, quality: int) -> Filed:
    prepared, facts, _ = saved(picture, str(path), quality)
    return prepared, facts


def kind_of(first: Filed, second: Filed, *, told: bool = True) -> MatchKind | None:
    facts = (first[1], second[1]) if told else None
    return verify(first[0], second[0], VerifySettings(), facts).kind


@pytest.mark.parametrize("turned", [0.15, 0.2])
def test_a_face_that_turned_by_part_of_a_pixel_before_a_room_that_stood_still_is_no_copy(
    tmp_path: Path, turned: float
) -> None:
    first, second = (
        filed(Image.fromarray(frame_of(by)), tmp_path / f"{number}.jpg", 80) for number, by in enumerate((0.0, turned))
    )
    assert kind_of(first, second, told=False) is MatchKind.COPY, "the windows alone see no place that moved"
    assert kind_of(first, second) is MatchKind.EDITED
    assert kind_of(second, first) is MatchKind.EDITED


@pytest.mark.parametrize("quality", [35, 62, 88])
def test_a_frame_saved_twice_or_once_more_is_a_copy(tmp_path: Path, quality: int) -> None:
    frame = Image.fromarray(frame_of(0.0))
    first, second = filed(frame, tmp_path / "a.jpg", 80), filed(frame, tmp_path / "b.jpg", quality)
    assert kind_of(first, second) is MatchKind.COPY
    third = filed(Image.open(tmp_path / "b.jpg").convert("RGB"), tmp_path / "c.jpg", 90)
    assert kind_of(first, third) is MatchKind.COPY


def test_a_thin_line_drawn_over_one_of_two_saves_is_seen(tmp_path: Path) -> None:
    picture = Image.fromarray(draw(5, (WIDE, HIGH)))
    drawn = picture.copy()
    ImageDraw.Draw(drawn).line((120, 60, 150, 78), fill=(90, 200, 40))
    first, second = filed(picture, tmp_path / "a.jpg", 75), filed(drawn, tmp_path / "b.jpg", 75)
    assert kind_of(first, second) is MatchKind.EDITED
    assert kind_of(first, filed(picture, tmp_path / "c.jpg", 78)) is MatchKind.COPY


def test_blocks_tell_what_saving_explains(tmp_path: Path) -> None:
    still, moved = Image.fromarray(frame_of(0.0)), Image.fromarray(frame_of(0.5))
    pairs = ((still, 70), (still, 85), (moved, 85))
    first, again, other = (filed(each, tmp_path / f"{n}.jpg", quality) for n, (each, quality) in enumerate(pairs))
    for second, most in ((again, 0.0), (other, np.inf)):
        assert first[1].traces is not None and second[1].traces is not None
        children = Known.of(first[1], second[1], first[0].grey, second[0].grey).children
        for told in (
            find_by_samples(first[1].traces, second[1].traces),
            find_by_previews(first[0].tones, second[0].tones, children),
        ):
            assert told is not None
            assert told.beyond <= most and told.explained > 0.5
            assert second is again or told.beyond > 8
        assert find_by_previews(first[0].tones, second[0].tones, children[:1]) is None, "the steps of one are not known"


def test_files_of_another_kind_or_of_nothing_to_see_tell_nothing(tmp_path: Path) -> None:
    first = filed(Image.fromarray(frame_of(0.0)), tmp_path / "a.jpg", 80)
    smaller = filed(Image.fromarray(frame_of(0.0)).resize((120, 92)), tmp_path / "b.jpg", 80)
    assert (
        Known.of(first[1], smaller[1], first[0].grey, smaller[0].grey).siblings(first[0].tones, smaller[0].tones) == []
    )
    blank = Image.new("RGB", (WIDE, HIGH), (90, 90, 90))
    one, two = filed(blank, tmp_path / "c.jpg", 80), filed(blank, tmp_path / "d.jpg", 70)
    known = Known.of(one[1], two[1], one[0].grey, two[0].grey)
    assert known.siblings(one[0].tones, two[0].tones) == []


def test_noise_goes_with_no_shift_and_a_part_that_moved_does() -> None:
    still = frame_of(0.0)[..., 0].astype(np.float32)
    noisy = np.asarray(still + np.random.default_rng(4).normal(0, 4, still.shape), np.float32)
    inside = np.ones((2 * HIGH, 2 * WIDE), np.uint8)
    assert coherent_share(still, noisy, inside) < 0.2
    moved = frame_of(0.2)[..., 0].astype(np.float32)
    assert coherent_share(still, moved, inside) > 0.5
    all_of = np.roll(still, 1, axis=1)
    assert coherent_share(still[:, 2:-2], all_of[:, 2:-2], inside[:, 4:-4]) < coherent_share(still, moved, inside)
    assert coherent_share(still, still, inside) == 0.0
    assert coherent_share(still[:16, :16], moved[:16, :16], inside[:32, :32]) == 0.0, "too small to tell"


def test_all_blocks_may_be_saves_of_one_picture_or_may_not(tmp_path: Path) -> None:
    first, again = (filed(Image.fromarray(frame_of(0.0)), tmp_path / f"{quality}.jpg", quality) for quality in (75, 60))
    other = filed(Image.fromarray(frame_of(0.5)), tmp_path / "other.jpg", 75)
    for second, same in ((again, True), (other, False)):
        assert Known.of(first[1], second[1], first[0].grey, second[0].grey).same_before is same
    assert not Known().same_before
