"""All blocks of two small pictures tell whether one was merely saved from the other."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.compression import FileFacts, Known
from pipeline.decode import DecodeSettings, Pixels
from pipeline.measuring import MeasureTask, measure
from pipeline.previewing import decode_preview
from pipeline.saving import Saving, find_saving
from pipeline.settings import QualitySettings, VerifySettings
from pipeline.verify import Facts, Prepared, prepare, verify
from store.records import MatchKind, Measurement
from tests.gallery import draw

WIDE, HIGH = 250, 188  # neither a multiple of eight
Pair = tuple[Prepared, Prepared, Facts]


@pytest.fixture
def original() -> Image.Image:
    return Image.fromarray(draw(7, (WIDE, HIGH)))


def filed(
    picture: Image.Image, path: str, quality: int, subsampling: int = 2, form: str = "JPEG"
) -> tuple[Prepared, FileFacts, Pixels]:
    more = {"JPEG": {"subsampling": subsampling}, "AVIF": {"speed": 8, "max_threads": 1}}  # the same file anywhere
    picture.save(path, form, quality=quality, **more.get(form, {}))
    seen = measure(MeasureTask(path, 96), DecodeSettings(), QualitySettings())
    assert isinstance(seen, Measurement) and seen.traces is not None
    step = max(seen.traces.stored_step, seen.traces.seen_step)
    facts = FileFacts(seen.picture.width, seen.picture.height, step, False, seen.traces, seen.picture.encoding)
    pixels = decode_preview(seen.preview)
    return prepare(pixels), facts, pixels


def pair_of(
    original: Image.Image, changed: Image.Image, folder: Path, quality: int
) -> tuple[Prepared, Prepared, Facts]:
    first, ours, _ = filed(original, f"{folder}/a.jpg", 92)
    second, theirs, _ = filed(changed, f"{folder}/b.jpg", quality)
    return first, second, (ours, theirs)


def found(pair: Pair) -> tuple[int, Saving]:
    a, b, facts = pair
    assert facts is not None
    place, saving = find_saving(a.tones, b.tones, Known.of(*facts, a.grey, b.grey).children)
    assert saving is not None
    return place, saving


def reopened(picture: Image.Image, folder: Path) -> Image.Image:
    picture.save(f"{folder}/a.jpg", "JPEG", quality=92)
    return Image.open(f"{folder}/a.jpg").convert("RGB")


@pytest.mark.parametrize("quality", [8, 15, 30, 60, 85])
def test_what_was_saved_again_is_explained_in_every_block(original: Image.Image, quality: int, tmp_path: Path) -> None:
    pair = pair_of(original, reopened(original, tmp_path), tmp_path, quality)
    place, saving = found(pair)
    assert place == 1 and saving.merely_saved and not saving.written_over
    assert verify(*pair[:2], VerifySettings(), pair[2]).kind is MatchKind.COPY


@pytest.mark.parametrize("quality", [8, 15, 30, 60, 85])
def test_a_spot_that_shows_in_the_saved_file_is_found(original: Image.Image, quality: int, tmp_path: Path) -> None:
    changed = reopened(original, tmp_path)
    spot = np.array(changed)
    spot[90:102, 130:142] = 255 - spot[90:102, 130:142] // 2
    pair = pair_of(original, Image.fromarray(spot), tmp_path, quality)
    _, saving = found(pair)
    assert saving.written_over and not saving.merely_saved
    rows, columns = np.nonzero(saving.changed)
    assert 10 <= rows.min() <= rows.max() <= 13 and 15 <= columns.min() <= columns.max() <= 18
    there, back = (
        verify(*each, VerifySettings(), facts).kind
        for each, facts in ((pair[:2], pair[2]), (pair[1::-1], pair[2] and pair[2][::-1]))
    )
    assert there is back is MatchKind.EDITED


@pytest.mark.parametrize("factor", [0.95, 1.05])
@pytest.mark.parametrize("quality", [12, 25, 50])
def test_that_a_change_of_the_whole_is_not_taken_for_writing(
    original: Image.Image, factor: float, quality: int, tmp_path: Path
) -> None:
    brighter = ImageEnhance.Brightness(reopened(original, tmp_path)).enhance(factor)
    assert not found(pair_of(original, brighter, tmp_path, quality))[1].written_over


def test_of_other_files_nothing_is_asked(original: Image.Image, tmp_path: Path) -> None:
    a, b, facts = pair_of(original, reopened(original, tmp_path), tmp_path, 30)
    assert facts is not None
    smaller = b.grey[::2, ::2]
    assert Known.of(facts[0], facts[1], a.grey, smaller).children == [], "a preview that is smaller than its file"
    other, file, _ = filed(original.resize((WIDE - 8, HIGH)), f"{tmp_path}/c.jpg", 30)
    assert Known.of(facts[0], file, a.grey, other.grey).children == [], "another size"
    assert find_saving(a.tones, b.tones, []) == (0, None)


def test_leaves_that_moved_a_little_everywhere_are_no_second_saving(tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    leaves = cv2.GaussianBlur(chance.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 1.8)
    picture = np.clip(128 + 45 * leaves / leaves.std(), 0, 255).astype(np.uint8)
    x, y = np.meshgrid(np.arange(320, dtype=np.float32), np.arange(240, dtype=np.float32))
    wind = [cv2.GaussianBlur(chance.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 2) for _ in "xy"]
    moved = cv2.remap(picture, x + 0.4 * wind[0] / wind[0].std(), y + 0.4 * wind[1] / wind[1].std(), cv2.INTER_CUBIC)
    frames = [
        Image.fromarray(cv2.cvtColor(np.asarray(each, np.uint8), cv2.COLOR_GRAY2RGB)) for each in (picture, moved)
    ]
    first, ours, _ = filed(frames[0], f"{tmp_path}/a.jpg", 90)
    second, theirs, _ = filed(frames[1], f"{tmp_path}/b.jpg", 90)
    assert Known.of(ours, theirs, first.grey, second.grey).unlike
    assert verify(first, second, VerifySettings()).kind is MatchKind.COPY, "the windows alone see no place that moved"
    assert verify(first, second, VerifySettings(), (ours, theirs)).kind is MatchKind.EDITED
    frames[0].save(tmp_path / "c.webp", quality=80)
    third, later, _ = filed(Image.open(tmp_path / "c.webp").convert("RGB"), f"{tmp_path}/c.jpg", 90)
    assert verify(first, third, VerifySettings(), (ours, later)).kind is MatchKind.COPY
