"""What two files tell about one having been made from the other."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.compression import MAX_NOISE, FileFacts, Known
from pipeline.decode import DecodeSettings, Pixels, decode
from pipeline.detail import band_energy, textured_tiles
from pipeline.palettes import in_colours_of, lost_a_colour
from pipeline.previewing import decode_preview, preview
from pipeline.settings import VerifySettings
from pipeline.traces import measure_traces
from pipeline.verify import Facts, prepare, verify
from store.records import MatchKind
from tests.gallery import draw

SETTINGS = VerifySettings()


def known(ours: FileFacts, theirs: FileFacts) -> Known:
    first, second = (
        np.zeros((round(file.height * scale), round(file.width * scale)), np.uint8)
        for file in (ours, theirs)
        for scale in [min(384 / max(file.width, file.height), 1)]
    )
    return Known.of(ours, theirs, first, second)


def saved(pixels: Pixels, quality: int) -> Pixels:
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def look(ours: Pixels, theirs: Pixels, facts: Facts = None) -> MatchKind | None:
    """Look both ways; the facts tell of the first and the second."""
    first, second = (prepare(decode_preview(preview(pixels, DecodeSettings()))) for pixels in (ours, theirs))
    there = verify(first, second, SETTINGS, facts).kind
    assert there is verify(second, first, SETTINGS, facts and facts[::-1]).kind
    return there


def test_noise_is_known_only_where_one_was_saved_far_more_coarsely() -> None:
    plain, coarse = FileFacts(300, 150, 4), FileFacts(300, 150, 30)
    assert known(coarse, FileFacts(300, 150, 28)).noise == 0, "two pictures of one camera"
    assert known(coarse, plain).noise == known(plain, coarse).noise == pytest.approx(30 / 12**0.5)
    assert known(FileFacts(768, 384, 30), plain).noise == pytest.approx(15 / 12**0.5), "shrunk by half"
    assert known(FileFacts(300, 150, 99), plain).noise == MAX_NOISE, "no more is believed"
    assert known(plain, plain) == Known(whole=True)


def test_which_of_two_was_saved_again_is_known_only_of_one_size() -> None:
    plain, coarse = FileFacts(300, 150, 4), FileFacts(300, 150, 30)
    assert (known(plain, coarse).coarser, known(coarse, plain).coarser) == ((1, coarse), (0, coarse))
    assert known(plain, FileFacts(200, 100, 30)).coarser is None


def test_a_cut_is_smaller_in_no_direction_larger() -> None:
    whole, cut = FileFacts(384, 288), FileFacts(376, 282)
    assert known(whole, cut).grids == known(cut, whole).grids == ((1, 1), (1, 1))
    assert known(whole, FileFacts(384, 288)).grids is None
    assert known(whole, FileFacts(288, 384)).grids is None, "one camera, held upright"
    shrunk = known(FileFacts(768, 576), FileFacts(760, 570)).grids
    assert shrunk == ((0.5, 0.5), (384 / 760, 288 / 570)), "the preview of the cut is larger, for it shows less"


def test_facts_are_the_coarsest_step_and_whether_levels_are_missing() -> None:
    def seen(**traces: Any) -> Any:
        every = {"stored_step": 3.0, "seen_step": 0.0, "levels": bytes([5])} | traces
        return SimpleNamespace(
            picture=SimpleNamespace(width=9, height=8, encoding="JPEG"), traces=SimpleNamespace(**every)
        )

    facts = FileFacts.of(seen())
    assert (facts.width, facts.height, facts.step, facts.few_colours) == (9, 8, 3.0, False)
    assert FileFacts.of(seen(seen_step=30.0)).step == 30, "of an earlier life"
    assert FileFacts.of(seen(levels=bytes([150]))).few_colours
    assert not FileFacts.of(seen(levels=b"")).few_colours, "measured by an earlier dedupd"
    assert FileFacts.of(SimpleNamespace(picture=seen().picture, traces=None)) == FileFacts(9, 8, encoding="JPEG")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, 3, 6, 11])
@pytest.mark.parametrize("size", [(200, 150), (640, 480)])
def test_a_picture_saved_very_coarsely_is_a_copy_and_with_a_sticker_none(seed: int, size: tuple[int, int]) -> None:
    original = np.asarray(draw(seed, size), np.uint8)
    changed = original.copy()
    cv2.circle(changed, (size[0] // 3, size[1] // 2), size[1] // 12, (200, 40, 60), -1, cv2.LINE_AA)
    facts = FileFacts(*size, 1.0), FileFacts(*size, 63.0)  # JPEG 96 and 10
    assert look(saved(original, 96), saved(original, 10), facts) is MatchKind.COPY
    assert look(saved(original, 96), saved(changed, 10), facts) is not MatchKind.COPY


@pytest.mark.parametrize("seed", [0, 3, 6, 11])
def test_a_narrow_cut_is_a_copy_where_the_files_tell_that_it_is_one(seed: int) -> None:
    original = np.asarray(draw(seed, (640, 480)), np.uint8)
    cut = original[4:476, 5:634]
    moved = np.asarray(cv2.resize(original[4:476, 5:634], (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert look(original, cut, (FileFacts(640, 480), FileFacts(629, 472))) is MatchKind.COPY
    assert look(original, cut) is not MatchKind.COPY, "nothing is known: a camera may have moved"
    assert look(original, moved, (FileFacts(640, 480), FileFacts(640, 480))) is not MatchKind.COPY


def test_few_colours_count_where_only_one_of_two_has_few() -> None:
    facts = FileFacts(400, 300), FileFacts(400, 300, few_colours=True)
    assert (known(*facts).few_colours, known(*facts[::-1]).few_colours) == (1, 0)
    assert known(facts[1], facts[1]).few_colours is None


def test_a_picture_in_few_colours_is_a_copy_and_with_words_none() -> None:
    original = np.asarray(draw(9, (400, 300)), np.uint8)
    original[40:52, 300:312] = (170, 60, 200)  # a colour of its own, for which few colours leave but another
    palette = [np.array(Image.fromarray(each).quantize(32).convert("RGB"), np.uint8) for each in (
        original, _with_words(original, (30, 160, 60)))]  # fmt: skip
    palette[0][40:52, 300:312] = palette[1][40:52, 300:312] = (190, 90, 120)
    facts = FileFacts(400, 300), FileFacts(400, 300, few_colours=True)
    assert look(original, palette[0], facts) is MatchKind.COPY
    assert look(original, palette[1], facts) is not MatchKind.COPY
    assert look(original, palette[0]) is not MatchKind.COPY, "nothing is known: it was painted over"


def test_of_a_large_thing_without_its_colour_nobody_knows_which_was_there_first() -> None:
    """Few colours may have cost it its own, or somebody gave it another: of 24 tinted pictures 12 passed."""
    original = np.asarray(draw(9, (400, 300)), np.uint8)
    original[40:90, 300:360] = (170, 60, 200)
    few = np.array(Image.fromarray(original).quantize(32).convert("RGB"), np.uint8)
    few[40:90, 300:360] = (190, 90, 120)
    assert look(original, few, (FileFacts(400, 300), FileFacts(400, 300, few_colours=True))) is MatchKind.EDITED


def measured(pixels: Pixels, quality: int) -> tuple[Pixels, FileFacts]:
    """Save pixels as a JPEG and tell what its file tells."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    decoded = decode(data.getvalue(), DecodeSettings())
    tiles = textured_tiles(decoded.rgb)
    traces = measure_traces(decoded.rgb, tiles, band_energy(tiles), decoded.luma_steps)
    high, wide = pixels.shape[:2]
    return decoded.rgb, FileFacts(wide, high, max(traces.stored_step, traces.seen_step), False, traces)


def grainy(seed: int, levels: float, size: tuple[int, int] = (240, 180)) -> Pixels:
    """Draw a calm ground with grain of its own: nothing to hold on to but that."""
    random = np.random.default_rng(seed)
    ground = cv2.resize(np.asarray(draw(3, (48, 36)), np.float32), size, interpolation=cv2.INTER_CUBIC) * 0.5 + 60
    return np.clip(ground + random.normal(0, levels, (size[1], size[0], 1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [20, 30, 45])
def test_what_the_files_show_to_be_saved_is_a_copy_and_another_exposure_none(quality: int) -> None:
    first, fine = measured(grainy(1, 7.0), 92)
    again, coarse = measured(first, quality)
    other, of_other = measured(grainy(2, 7.0), quality)
    assert known(fine, coarse).saved and known(coarse, fine).saved
    assert look(first, again, (fine, coarse)) is MatchKind.COPY
    assert not known(fine, of_other).saved
    assert look(first, other, (fine, of_other)) is not MatchKind.COPY


@pytest.mark.parametrize("quality", [20, 40, 70])
def test_blocks_that_saving_does_not_explain_were_written_over(quality: int) -> None:
    original, fine = measured(np.asarray(draw(4, (400, 300)), np.uint8), 92)
    changed = original.copy()
    cv2.circle(changed, (205, 150), 22, (250, 140, 20), 1, cv2.LINE_AA)  # a thin ring
    again, coarse = measured(changed, quality)
    assert known(fine, coarse).written_over and known(coarse, fine).written_over
    assert look(original, again, (fine, coarse)) is not MatchKind.COPY
    assert not known(fine, measured(original, quality)[1]).written_over


def _with_words(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    written = pixels.copy()
    cv2.putText(written, "SALE", (60, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.2, colour, 4, cv2.LINE_AA)
    return written


@pytest.mark.parametrize("quality", [15, 30, 60])
@pytest.mark.parametrize("seed", [1, 4, 9])
def test_words_in_the_colours_of_the_picture_are_seen_through_compression(seed: int, quality: int) -> None:
    original = np.asarray(draw(seed, (400, 300)), np.uint8)
    middle: NDArray[np.float64] = original[150:230, 60:180].reshape(-1, 3).mean(axis=0)
    shade = tuple(int(level + (50 if level < 128 else -50)) for level in middle)
    written = _with_words(original, (shade[0], shade[1], shade[2]))
    facts = FileFacts(400, 300, 2.0), FileFacts(400, 300, 12.75 * 50 / quality)
    assert look(saved(original, 92), saved(written, quality), facts) is not MatchKind.COPY
    assert look(saved(original, 92), saved(original, quality), facts) is MatchKind.COPY


def test_a_place_whose_colour_nobody_chose_is_told(tmp_path: Path) -> None:
    original = Image.fromarray(draw(3, (320, 240)))
    original.quantize(128).save(tmp_path / "few.png")
    few = prepare(np.asarray(Image.open(tmp_path / "few.png").convert("RGB"), np.uint8)).tones
    plain = prepare(np.asarray(original, np.uint8)).tones
    assert not lost_a_colour(plain, in_colours_of(plain, few))
    tinted = np.array(original)
    tinted[100:140, 140:180] = (tinted[100:140, 140:180].mean(axis=2, keepdims=True) * [1.3, 0.2, 1.3]).clip(0, 255)
    changed = prepare(tinted).tones
    assert lost_a_colour(changed, in_colours_of(changed, few))
