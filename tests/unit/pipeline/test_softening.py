"""A picture that lost sharpness, and nothing else, is the same once the other is made as soft."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pipeline.alignment import Grey
from pipeline.settings import VerifySettings
from pipeline.softening import soften_as
from pipeline.verify import verify
from store.records import MatchKind
from tests.scenes import draw
from tests.unit.pipeline.test_saving import filed

SIZE = (384, 288)
Softened = Callable[[Image.Image], Image.Image]


def grey_of(seed: int, size: tuple[int, int]) -> Grey:
    return np.asarray(cv2.cvtColor(draw(seed, size), cv2.COLOR_RGB2GRAY), np.uint8)


def soft_of(grey: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.5), np.uint8)


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.0))


def enlarged_back(picture: Image.Image) -> Image.Image:
    small = picture.resize((SIZE[0] * 3 // 10, SIZE[1] * 3 // 10), Image.Resampling.BILINEAR)
    return small.resize(SIZE, Image.Resampling.BICUBIC)


def kind_of_pair(first: Image.Image, second: Image.Image, folder: Path) -> MatchKind | None:
    a, ours, _ = filed(first, f"{folder}/a.jpg", 95)
    b, theirs, _ = filed(second, f"{folder}/b.jpg", 80)
    kind = verify(a, b, VerifySettings(), (ours, theirs)).kind
    assert verify(b, a, VerifySettings(), (theirs, ours)).kind is kind
    return kind


@pytest.mark.parametrize("softened", [blurred, enlarged_back])
def test_what_only_lost_sharpness_is_a_copy(softened: Softened, tmp_path: Path) -> None:
    original = Image.fromarray(draw(4, SIZE))
    assert kind_of_pair(original, softened(original), tmp_path) is MatchKind.COPY


@pytest.mark.parametrize("softened", [blurred, enlarged_back])
@pytest.mark.parametrize("first", [False, True])
def test_a_sticker_does_not_hide_in_a_blur(softened: Softened, first: bool, tmp_path: Path) -> None:
    original = Image.fromarray(draw(4, SIZE))
    written = original.copy()
    ImageDraw.Draw(written).ellipse((150, 120, 166, 132), fill=(200, 40, 40))
    changed = softened(written if first else original)
    if not first:
        ImageDraw.Draw(changed).ellipse((150, 120, 166, 132), fill=(200, 40, 40))
    assert kind_of_pair(original, changed, tmp_path) is MatchKind.EDITED


def test_the_sharper_one_becomes_the_softer_one() -> None:
    sharp = grey_of(4, (383, 287))  # sides that the transform has to make even
    soft = soft_of(sharp)
    for pair, place in (((sharp, soft), 0), ((soft, sharp), 1)):
        found = soften_as(*pair)
        assert found is not None
        assert found[0] == place
        assert found[1].shape == soft.shape
        before, after = (np.abs(grey.astype(float) - soft).mean() for grey in (sharp, found[1]))
        assert after < before / 4


def test_a_shift_is_no_blur() -> None:
    sharp = grey_of(4, SIZE)
    soft = np.roll(soft_of(sharp), 2, axis=1)
    found = soften_as(sharp, soft)
    assert found is None or np.abs(found[1].astype(float) - soft).mean() > 2


def test_nothing_is_softened_without_need() -> None:
    grey = grey_of(4, SIZE)
    assert soften_as(grey, grey) is None
    assert soften_as(grey, grey[:-8]) is None
    flat = np.full_like(grey, 128)
    assert soften_as(flat, flat) is None
    other = soft_of(grey_of(5, SIZE))
    assert soften_as(grey, other) is None
