"""A picture in other tones is the same once the original is given them; what was done to one thing alone stays."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from pipeline.decode import Pixels
from pipeline.framing import Placement
from pipeline.prepared import prepare
from pipeline.settings import VerifySettings
from pipeline.toning import Toned, tone_as
from pipeline.verify import verify
from store.records import MatchKind
from tests.scenes import draw

SIZE = (384, 288)
Change = Callable[[Pixels], Pixels]


def levels(pixels: np.ndarray) -> Pixels:
    return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)


def darker(pixels: Pixels) -> Pixels:
    return levels(255 * (pixels / 255.0) ** 1.8)


def brighter(pixels: Pixels) -> Pixels:
    return levels(pixels * 2.5 + 10)  # much of it is clipped


def lighter(pixels: Pixels) -> Pixels:
    return levels(pixels * 1.25)


def warmer(pixels: Pixels) -> Pixels:
    return levels(pixels * np.array([1.15, 1.0, 0.8]))


def duller(pixels: Pixels) -> Pixels:
    grey = pixels.mean(axis=2, keepdims=True)
    return levels(grey + 0.4 * (pixels - grey))


def lit(pixels: Pixels) -> Pixels:
    return levels(pixels * 1.4)


def turned(pixels: Pixels) -> Pixels:
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += 14
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def tinted(pixels: Pixels) -> Pixels:
    changed = pixels.copy()
    place = np.s_[120:160, 150:190]
    changed[place] = (0.55 * changed[place] + 0.45 * np.array((255, 0, 0))).astype(np.uint8)
    return changed


def clouds(seed: int) -> Pixels:
    """Draw blots of all colours and sizes."""
    random = np.random.default_rng(seed)
    canvas = np.full((300, 400, 3), 120, np.float32)
    for spread, strength in ((40, 60), (12, 45), (4, 30), (1.5, 14)):
        noise = cv2.GaussianBlur(random.normal(0, 1, canvas.shape).astype(np.float32), (0, 0), spread)
        canvas += strength * noise / noise.std()
    return np.asarray(np.clip(canvas, 0, 255), np.uint8)


CHANGES = [darker, brighter, warmer, duller]


def scene(seed: int) -> Pixels:
    return np.asarray(draw(seed, SIZE), np.uint8)


def toned(first: Pixels, second: Pixels) -> Toned | None:
    a, b = prepare(first), prepare(second)
    return tone_as(a.tones, b.tones, Placement(a.grey, b.grey, np.eye(3), False, False, 0))


def kind(first: Pixels, second: Pixels) -> MatchKind | None:
    a, b = prepare(first), prepare(second)
    there, back = (verify(*pair, VerifySettings()).kind for pair in ((a, b), (b, a)))
    assert there is back
    return there


def hued(pixels: Pixels, turn: int) -> Pixels:
    """Turn the hue of a thing, a disc of one colour that is drawn first."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    disc = cv2.circle(np.zeros(pixels.shape[:2], np.uint8), (250, 150), 30, 1, -1) > 0
    hsv[disc] = (np.array([10 + turn, 190, 170]) + hsv[disc][:, [2]] // 16).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


@pytest.mark.parametrize("change", CHANGES)
def test_the_original_is_given_the_tones_of_the_copy(change: Change) -> None:
    original, copy = scene(4), change(scene(4))
    for pair, which in (((original, copy), 0), ((copy, original), 1)):
        found = toned(*pair)
        assert found is not None
        assert found.which == which
        assert found.mixed is (change is duller)
        wanted = cv2.cvtColor(copy, cv2.COLOR_RGB2YCrCb).astype(float)
        before = np.abs(cv2.cvtColor(original, cv2.COLOR_RGB2YCrCb) - wanted).mean()
        assert np.abs(found.colours - wanted).mean() < before / 2


def test_where_the_copy_lies_does_not_matter() -> None:
    original = scene(4)
    copy = darker(original[40:240, 50:330])
    a, b = prepare(original), prepare(copy)
    onto = np.array([[1, 0, -50], [0, 1, -40], [0, 0, 1]], float)
    found = tone_as(a.tones, b.tones, Placement(a.grey, b.grey, onto, False, False, 0))
    assert found is not None
    assert found.which == 0
    assert np.abs(found.colours[40:240, 50:330, 0].astype(float) - b.grey).mean() < 2


def test_what_is_no_change_of_tones_is_none() -> None:
    original = scene(4)
    for other in (original, np.roll(original, 40, axis=1), scene(5), np.full_like(original, 90)):
        assert toned(original, other) is None
    painted = original.copy()
    painted[100:180, 200:300] = (200, 40, 40)
    assert toned(original, painted) is None


@pytest.mark.parametrize("change", CHANGES)
def test_other_tones_alone_make_a_copy(change: Change) -> None:
    assert kind(scene(4), change(scene(4))) is MatchKind.COPY


@pytest.mark.parametrize("change", [darker, lighter])
@pytest.mark.parametrize("seed", [4, 5, 7])
def test_a_thing_of_another_hue_does_not_hide_in_other_tones(change: Change, seed: int) -> None:
    red, green = (hued(scene(seed), turn) for turn in (0, 40))
    assert kind(red, change(green)) is MatchKind.EDITED
    assert kind(red, change(red)) is MatchKind.COPY


@pytest.mark.parametrize(("seed", "change"), [(4, lit), (5, lit), (6, lit), (1, turned)])
def test_light_and_hue_take_each_colour_to_another_and_a_tint_does_not(seed: int, change: Change) -> None:
    original = clouds(seed)
    assert kind(original, change(original)) is MatchKind.COPY
    assert kind(original, change(tinted(original))) is not MatchKind.COPY


def hues_turned(pixels: Pixels, degrees: float) -> Pixels:
    hsv = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    return levels(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255)


@pytest.mark.parametrize("degrees", [-22, -14, 14, 22])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_mild_turn_of_all_hues_makes_a_copy(seed: int, degrees: float) -> None:
    original = clouds(seed)
    copy = hues_turned(original, degrees)
    found = toned(original, copy)
    assert found is not None
    assert found.turned
    assert not found.mixed
    assert kind(original, copy) is MatchKind.COPY
    assert kind(original, hues_turned(tinted(original), degrees)) is not MatchKind.COPY


def test_hues_that_turned_unevenly_or_by_much_are_no_turn_of_all() -> None:
    original = clouds(2)
    halves = np.hstack([hues_turned(original[:, :200], 20), hues_turned(original[:, 200:], -20)])
    for other in (halves, hues_turned(original, 70)):
        found = toned(original, other)
        assert found is None or not found.turned
        assert kind(original, other) is not MatchKind.COPY


def product(hue: int) -> Pixels:
    """Draw a thing of one hue, with shades and folds, on white."""
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (288, 384)).astype(np.float32), (0, 0), 5)
    value = np.clip(150 + 45 * noise / noise.std(), 20, 250)
    cloth = np.zeros((288, 384), np.uint8)
    cv2.fillPoly(
        cloth, [np.array([(110, 60), (270, 60), (330, 130), (260, 150), (260, 260), (120, 260), (60, 130)])], 1
    )
    hsv = np.dstack([np.full_like(value, hue), 200 * cloth, np.where(cloth, value, 252)]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


@pytest.mark.parametrize("change", [np.copy, darker, lighter])
def test_a_product_in_another_colour_is_another_product(change: Change) -> None:
    red, blue = product(2), product(112)
    assert kind(red, change(blue)) is MatchKind.EDITED
