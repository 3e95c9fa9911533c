"""What a codec leaves by itself tells a copy that went through it from a picture that was changed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.compression import FileFacts, Known
from pipeline.palettes import colours_of
from pipeline.prepared import prepare, prepare_tones
from pipeline.recoding import differs_more, recoded, save_again
from pipeline.settings import VerifySettings
from pipeline.verify import verify
from store.records import MatchKind
from tests.unit.pipeline.test_saving import filed

WIDE, HIGH = 240, 160


def sand(seed: int, spread: float = 1.8, strength: float = 30.0) -> Image.Image:
    """Draw grains, as fine as a codec's noise and everywhere, on uneven ground."""
    random = np.random.default_rng(seed)
    canvas = np.full((HIGH, WIDE, 3), 120, np.float32)
    for shape, width, levels in (
        ((HIGH, WIDE), 30.0, 25.0),
        ((HIGH, WIDE), spread, strength),
        ((HIGH, WIDE, 3), 6.0, 8.0),
    ):
        noise = cv2.GaussianBlur(random.normal(0, 1, shape).astype(np.float32), (0, 0), width)
        canvas += (levels * noise / noise.std()).reshape(HIGH, WIDE, -1)
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("seed", "spread", "strength", "form", "quality"),
    [
        (0, 1.8, 30, "WEBP", 25), (1, 1.8, 30, "WEBP", 25), (2, 1.8, 30, "WEBP", 10), (2, 1.8, 16, "WEBP", 75),
        (0, 0.8, 8, "AVIF", 25),
    ],
)  # fmt: skip
def test_what_went_through_a_codec_is_a_copy_and_with_a_dot_none(
    seed: int, spread: float, strength: float, form: str, quality: int, tmp_path: Path
) -> None:
    original, changed = sand(seed, spread, strength), sand(seed, spread, strength)
    ImageDraw.Draw(changed).ellipse((100, 80, 114, 92), fill=(200, 60, 60))
    a, ours, _ = filed(original, f"{tmp_path}/a.jpg", 88)
    for picture, is_copy in ((original, True), (changed, False)):
        b, theirs, _ = filed(picture, f"{tmp_path}/b", quality, form=form)
        kind = verify(a, b, VerifySettings(), (ours, theirs)).kind
        assert (kind is MatchKind.COPY) is is_copy
        assert verify(b, a, VerifySettings(), (theirs, ours)).kind is kind


def test_the_quality_is_found_that_does_as_much() -> None:
    original = prepare(np.asarray(sand(1)))
    size = original.grey.shape[::-1]
    for quality in (12, 40, 70):
        coded = save_again(colours_of(original.tones), "WEBP", quality, size)
        tried = recoded(original.tones, prepare(to_rgb(coded)).tones, "WEBP", size)
        assert tried is not None
        apart, would = (
            float(np.square(original.grey.astype(float) - tones[..., 0]).mean()) for tones in (coded, tried)
        )
        assert 0.5 < would / apart < 2


def test_no_quality_does_as_much_as_another_picture() -> None:
    ours, theirs = (prepare(np.asarray(picture)).tones for picture in (sand(1), Image.new("RGB", (WIDE, HIGH))))
    assert recoded(ours, theirs, "WEBP", (WIDE, HIGH)) is None


def test_a_larger_file_is_saved_at_its_own_size() -> None:
    colours = colours_of(prepare(np.asarray(sand(1))).tones)
    small, large = (save_again(colours, "WEBP", 20, size) for size in ((WIDE, HIGH), (2 * WIDE, 2 * HIGH)))
    assert small.shape == large.shape == colours.shape
    lost = [np.abs(each.astype(float) - colours).mean() for each in (small, large)]
    assert lost[1] < lost[0], "what a codec does to a larger file is averaged out"


def test_of_two_such_files_the_softer_one_was_saved_last() -> None:
    sharp = prepare(np.asarray(sand(1))).grey
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 1), np.uint8)
    webp, jpeg = FileFacts(WIDE, HIGH, encoding="WEBP"), FileFacts(WIDE, HIGH, encoding="JPEG")
    assert Known.of(webp, webp, sharp, soft).recoded(sharp, soft) == (1, webp)
    assert Known.of(webp, webp, soft, sharp).recoded(soft, sharp) == (0, webp)
    assert Known.of(jpeg, webp, soft, sharp).recoded(soft, sharp) == (1, webp)
    assert Known.of(jpeg, jpeg, soft, sharp).recoded(soft, sharp) is None


@pytest.mark.parametrize("shape", [(HIGH, 1), (1, WIDE), (1, 1)])
def test_a_line_of_pixels_is_no_trouble(shape: tuple[int, int]) -> None:
    line = np.zeros(shape, np.uint8)
    webp, avif = (FileFacts(shape[1], shape[0], encoding=form) for form in ("WEBP", "AVIF"))
    assert Known.of(webp, avif, line, line).recoded(line, line) == (1, avif), "whichever comes first"
    assert Known.of(avif, webp, line, line).recoded(line, line) == (0, avif)


def test_another_hue_of_the_same_grey_is_more_than_a_codec_does() -> None:
    original = prepare(np.asarray(sand(1))).tones
    tried = prepare(to_rgb(save_again(colours_of(original), "WEBP", 20, (WIDE, HIGH)))).tones
    painted = colours_of(tried)
    painted[60:80, 100:120, 1] += 20
    assert not differs_more(original, tried, tried)
    assert differs_more(original, prepare_tones(painted).tones, tried)


def to_rgb(colours: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2RGB), np.uint8)
