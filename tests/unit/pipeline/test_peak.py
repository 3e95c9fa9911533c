"""A place of four pixels of a preview: how far it stands out from what storing does everywhere."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.comparison import compare
from pipeline.proof import EVEN_PEAK, MAX_LEAD_BLANK, MAX_PEAK
from pipeline.settings import VerifySettings

Grey = NDArray[np.uint8]
SETTINGS = VerifySettings()


def chart(number: str = "3174") -> Grey:
    """Draw lines, boxes and words on shaded ground: no page of text."""
    rng = np.random.default_rng(5)
    shade = np.linspace(215, 245, 384)[None] - np.linspace(0, 20, 288)[:, None]
    drawn = shade.astype(np.uint8)
    for row in range(7):
        y = 24 + 36 * row
        cv2.rectangle(drawn, (150, y - 16), (360, y + 8), 255 - 9 * row, -1)
        cv2.rectangle(drawn, (150, y - 16), (360, y + 8), 120, 1)
        cv2.putText(
            drawn, f"value {rng.integers(100, 999)}", (16, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 30, 1, cv2.LINE_AA
        )
        words = number if row == 3 else f"{rng.integers(1000, 9999)}"
        cv2.putText(drawn, words, (160, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 20, 1, cv2.LINE_AA)
    return drawn


def stored(grey: Grey, quality: int) -> Grey:
    done, encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)


def peak(first: Grey, second: Grey) -> float:
    inside = np.ones(second.shape, np.uint8)
    limits = SETTINGS.min_texture_levels, SETTINGS.min_correlation, SETTINGS.max_outlier
    return compare(first, second, inside, *limits).peak


def test_the_same_picture_has_no_peak() -> None:
    assert peak(chart(), chart()) == 0


@pytest.mark.parametrize("quality", [95, 80, 60, 40, 25])
def test_compression_stands_out_nowhere_and_another_digit_does(quality: int) -> None:
    ours = stored(chart(), 90)
    assert peak(ours, stored(chart(), quality)) < 3
    assert peak(ours, stored(chart("3774"), quality)) > MAX_PEAK


def test_another_pixel_grid_stands_out_nowhere() -> None:
    larger = cv2.resize(chart(), None, fx=1.37, fy=1.37, interpolation=cv2.INTER_CUBIC)
    again = np.asarray(cv2.resize(larger, (384, 288), interpolation=cv2.INTER_AREA), np.uint8)
    assert peak(chart(), again) < EVEN_PEAK + 0.5


@pytest.mark.parametrize("contrast", [0.7, 1.35])
def test_rare_levels_that_contrast_moves_are_no_place_of_their_own(contrast: float) -> None:
    rng = np.random.default_rng(2)
    ground = cv2.GaussianBlur(rng.normal(0, 60, (288, 384)).astype(np.float32), (0, 0), 3) * 2 + 120
    screw = np.clip(ground, 90, 150).astype(np.uint8)
    screw[140:146, 180:186] = 235
    toned = np.clip((screw.astype(np.float32) - 120) * contrast + 120, 0, 255).astype(np.uint8)
    assert peak(screw, toned) < MAX_PEAK
    bare = toned.copy()
    bare[140:146, 180:186] = 120
    assert peak(screw, bare) > MAX_PEAK, "what is gone is gone"


def test_thin_strokes_are_no_rare_levels() -> None:
    page = np.full((288, 384), 250, np.uint8)
    for row in range(10):
        cv2.putText(page, f"{3817 + 91 * row} 5520", (40, 30 + 26 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 20, 1)
    other = page.copy()
    other[120:140, 40:49] = 250
    cv2.putText(other, "1", (40, 134), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 20, 1)
    assert peak(page, other) > 3 * MAX_PEAK


def form(number: str) -> Grey:
    """Print a few lines on white: one digit is more than 2 in 100 of all that there is to see."""
    drawn = np.full((240, 340), 255, np.uint8)
    for row, words in enumerate(("name of holder", f"account {number}", "date and place")):
        cv2.putText(drawn, words, (30, 60 + 50 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0, 1, cv2.LINE_AA)
    return drawn


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_one_digit_of_a_nearly_empty_form_leads_all_that_changed(quality: int) -> None:
    ours = stored(form("35598"), 95)
    inside = np.ones(ours.shape, np.uint8)
    limits = SETTINGS.min_texture_levels, SETTINGS.min_correlation, SETTINGS.max_outlier
    same, other = (
        compare(
            ours, stored(np.asarray(cv2.GaussianBlur(form(number), (0, 0), 0.7), np.uint8), quality), inside, *limits
        )
        for number in ("35598", "35594")
    )
    assert same.blank and other.blank
    assert same.lead < MAX_LEAD_BLANK < other.lead
