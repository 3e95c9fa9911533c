"""Quality: truly bad pictures fail, pictures that merely look bad to one number pass."""

import cv2
import numpy as np
import pytest

from pipeline.decode import Pixels
from pipeline.detail import measure_detail
from pipeline.exposure import exposure_features
from pipeline.gate import load_gate
from pipeline.octaves import FEATURES, focus_features, octave_energies
from pipeline.quality import judge_quality, measure_quality, working_grey
from pipeline.settings import QualitySettings
from pipeline.training.optics import EXPOSURES, overexposed
from pipeline.training.optics import blurred as blurred_by_optics
from store.records import Picture, VerdictKind
from tests.scenes.plain import draw_plain
from tests.unit.pipeline.test_hashing import scene

SETTINGS = QualitySettings()
WIDTH, HEIGHT = 640, 480


def pixels(values: object) -> Pixels:
    return np.asarray(np.clip(np.asarray(values), 0, 255), np.uint8)


def blurred(rgb: Pixels, sigma: float) -> Pixels:
    return pixels(cv2.GaussianBlur(rgb, (0, 0), sigma))


def resized(rgb: Pixels, scale: float, method: int) -> Pixels:
    return pixels(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=method))


def town(seed: int = 0, contrast: float = 1.0, level: float = 110.0) -> Pixels:
    """Crisp boxes, discs and lines over a textured ground, RGB uint8."""
    generator = np.random.default_rng(seed)
    ground = generator.normal(0, 12, (240, 320, 3)).astype(np.float32)
    image = np.asarray(cv2.resize(ground, (WIDTH, HEIGHT)), np.float32)
    for _ in range(60):
        x, y = (int(generator.integers(0, limit)) for limit in (WIDTH, HEIGHT))
        size, colour = int(generator.integers(8, 70)), generator.normal(0, 60, 3).tolist()
        if generator.random() < 0.5:
            cv2.rectangle(image, (x, y), (x + size, y + 2 * size), colour, -1)
        else:
            cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA)
    return pixels(level + contrast * (image + generator.normal(0, 2, image.shape)))


def verdict(rgb: Pixels, settings: QualitySettings = SETTINGS) -> VerdictKind:
    return judge_quality(measure_quality(rgb), settings)[0]


def smear(rgb: Pixels, length: int, degrees: float) -> Pixels:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), degrees, 1)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return pixels(cv2.filter2D(rgb, -1, kernel / kernel.sum()))


def night() -> Pixels:
    image = np.random.default_rng(0).normal(2, 1.5, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    for place in ((100, 100), (300, 220), (500, 150)):
        cv2.circle(image, place, 9, (255, 220, 170), -1, cv2.LINE_AA)
    return image


def bokeh() -> Pixels:
    sharp, mask = town(3), np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(mask, (320, 240), (110, 140), 0, 0, 360, 1.0, -1)
    weight = np.asarray(cv2.GaussianBlur(mask, (0, 0), 6))[..., None]
    return pixels(sharp * weight + blurred(sharp, 9) * (1 - weight))


def product() -> Pixels:
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    image[180:300, 240:380] = town(4)[180:300, 240:380]
    return image


def page(paper: int, ink: int) -> Pixels:
    image = np.full((HEIGHT, WIDTH, 3), paper, np.uint8)
    for line in range(12):
        cv2.putText(image, "a page of text, as screenshots are", (20, 40 + 34 * line), 0, 0.7, (ink,) * 3, 1)
    return image


def line_art() -> Pixels:
    edges = pixels(cv2.Canny(blurred(town(5), 2), 60, 120))
    return pixels(cv2.cvtColor(255 - edges, cv2.COLOR_GRAY2RGB))


def sky() -> Pixels:
    ground = np.linspace(120, 200, HEIGHT)[:, None, None] * np.array([0.8, 0.9, 1.1])
    return pixels((ground + np.random.default_rng(0).normal(0, 1.5, (HEIGHT, WIDTH, 3))).clip(0, 255).astype(np.uint8))


def stripes() -> Pixels:
    image = town(6)
    image[100:400, 150:500] = (60 + 140 * (np.arange(300) // 6 % 2)).astype(np.uint8)[:, None, None]
    return image


GOOD = {
    "plain": town(),
    "fog": town(1, contrast=0.12, level=190),
    "snow": town(2, contrast=0.25, level=228),
    "night": night(),
    "bokeh": bokeh(),
    "product": product(),
    "screenshot": page(255, 20),
    "dark screenshot": page(20, 210),
    "line art": line_art(),
    "sky": sky(),
    "stripes": stripes(),
    "thumbnail": resized(town(7), 0.25, cv2.INTER_AREA),
}
BAD = {
    "defocused": (blurred(town(), 4), VerdictKind.BLUR),
    "far out of focus": (blurred(town(), 12), VerdictKind.BLUR),
    "defocused fog": (blurred(town(1, 0.5, 190), 4), VerdictKind.BLUR),
    "smeared along": (smear(town(), 21, 0), VerdictKind.BLUR),
    "smeared across": (smear(town(), 21, 65), VerdictKind.BLUR),
    "one colour": (np.full((HEIGHT, WIDTH, 3), 90, np.uint8), VerdictKind.BLUR),
    "lens cap": (
        np.random.default_rng(0).normal(3, 2, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8),
        VerdictKind.DARK,
    ),
    "under-exposed": ((town() * 0.04).astype(np.uint8), VerdictKind.DARK),
    "over-exposed": ((town().astype(np.float32) * 6).clip(0, 255).astype(np.uint8), VerdictKind.BRIGHT),
    "white": (np.full((HEIGHT, WIDTH, 3), 255, np.uint8), VerdictKind.BRIGHT),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_pictures_pass(name: str) -> None:
    assert judge_quality(measure_quality(GOOD[name]), SETTINGS) == (
        VerdictKind.KEEP, "sharpness, brightness and tones are within the limits",
    )  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_look_condemns_no_file_that_holds_more(name: str) -> None:
    quality = measure_quality(BAD[name][0])
    kinds = [
        judge_quality(quality, SETTINGS, Picture(WIDTH, HEIGHT, form, b"", 0))[0]
        for form in ("TIFF, several pictures", "PNG, transparent", "TIFF")
    ]
    assert kinds == [VerdictKind.KEEP, VerdictKind.KEEP, BAD[name][1]]


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_fail_with_their_reason(name: str) -> None:
    rgb, expected = BAD[name]
    kind, reason = judge_quality(measure_quality(rgb), SETTINGS)
    assert kind is expected
    assert any(character.isdigit() for character in reason)


def test_thresholds_act_as_a_person_expects() -> None:
    soft = blurred(town(), 4)
    assert verdict(soft, QualitySettings(min_sharpness=0)) is VerdictKind.KEEP
    assert verdict(town(), QualitySettings(min_sharpness=1e9)) is VerdictKind.BLUR
    dark, white = BAD["lens cap"][0], BAD["white"][0]
    assert verdict(dark, QualitySettings(min_brightness=0, min_sharpness=0)) is VerdictKind.KEEP
    assert verdict(white, QualitySettings(max_brightness=255, min_sharpness=0)) is VerdictKind.KEEP
    assert verdict(night(), QualitySettings(min_lights=0.5)) is VerdictKind.DARK


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    values = [measure_quality(blurred(town(), sigma)).sharpest for sigma in (0.5, 1, 2, 3, 5)]
    assert values == sorted(values, reverse=True)
    full, faint = (measure_quality(town(0, contrast)).sharpest for contrast in (1.0, 0.4))
    assert faint == pytest.approx(full, rel=0.5)


def test_a_threshold_means_the_same_at_every_size() -> None:
    large = resized(town(), 4, cv2.INTER_CUBIC)
    assert measure_quality(large).sharpest == pytest.approx(measure_quality(town()).sharpest, rel=0.15)
    assert max(working_grey(large).shape) == 512
    assert working_grey(large[:100, :120]).shape == (100, 120)


def test_a_picture_turned_or_mirrored_is_as_sharp() -> None:
    upright = measure_quality(town()).sharpest
    assert measure_quality(pixels(cv2.flip(town(), 1))).sharpest == pytest.approx(upright, rel=0.1)
    assert measure_quality(pixels(cv2.transpose(town()))).sharpest == pytest.approx(upright, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 5), (33, 31)])
def test_any_shape_can_be_measured(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    quality = measure_quality(noise)
    assert np.isfinite([quality.sharpness, quality.sharpest, quality.detail, quality.entropy]).all()


def jpeg(rgb: Pixels, quality: int = 92) -> Pixels:
    data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return pixels(cv2.imdecode(data, cv2.IMREAD_COLOR))


@pytest.mark.parametrize("seed", range(4))
def test_detail_ranks_the_original_first(seed: int) -> None:
    original = town(seed)
    half = resized(original, 0.5, cv2.INTER_AREA)
    copies = {
        "half": half,
        "blurred": blurred(original, 2),
        "cropped": original[:400, :560],
    }
    for name, copy in copies.items():
        assert measure_detail(jpeg(copy)) < measure_detail(original), name
    enlarged_back = resized(half, 2, cv2.INTER_CUBIC)
    assert measure_detail(jpeg(enlarged_back)) <= measure_detail(original)
    assert measure_detail(jpeg(original, 40)) <= measure_detail(original)


def test_detail_of_a_whole_picture_is_its_megapixels() -> None:
    assert measure_detail(scene(0, 512, 384)) <= 0.21
    assert measure_detail(town()) == pytest.approx(0.307, rel=0.03)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["overcast", "evening", "bare wall", "fog", "snow", "night", "bokeh", "product"])
def test_pictures_with_little_structure_pass(name: str, seed: int) -> None:
    assert verdict(draw_plain(name, seed)) is VerdictKind.KEEP


@pytest.mark.parametrize("degrees", [0, 30, 90, 140])
def test_a_smear_is_found_along_every_direction(degrees: float) -> None:
    assert verdict(smear(town(8), 25, degrees)) is VerdictKind.BLUR


def test_features_do_not_depend_on_more_than_the_working_size() -> None:
    grey = working_grey(town())
    features = focus_features(octave_energies(grey))
    assert features.shape == (FEATURES,)
    assert features.dtype == np.float32
    again = focus_features(octave_energies(working_grey(resized(town(), 2, cv2.INTER_CUBIC))))
    assert np.abs(features - again).max() < 0.5


def test_octaves_of_a_picture_without_structure_are_empty() -> None:
    assert octave_energies(np.full((200, 300), 77, np.uint8)).max() == 0


def test_a_smoother_picture_has_less_energy_in_the_finest_octave_first() -> None:
    sharp, soft = (octave_energies(working_grey(rgb))[:, :2].sum((1, 2)) for rgb in (town(), blurred(town(), 3)))
    fall = soft / sharp
    assert fall[0] < fall[1] < fall[2] < fall[3]


def test_exposure_is_looked_at_only_where_much_is_white() -> None:
    assert exposure_features(town()) is None
    assert exposure_features(BAD["over-exposed"][0]) is not None


def test_the_gate_does_not_extrapolate() -> None:
    gate = load_gate("glance")
    far = np.full(FEATURES, 1e6, np.float32)
    assert gate.score(far) == gate.score(10 * far)


def test_a_dark_thing_on_white_paper_is_not_blown_out() -> None:
    image = np.full((172, 292, 3), 255, np.uint8)
    cv2.ellipse(image, (110, 70), (70, 35), 10, 0, 360, (60, 35, 15), -1, cv2.LINE_AA)
    for x in range(50, 240, 20):  # thin parts bleach in a scan
        cv2.line(image, (110, 70), (x, 150), (255, 225, 140), 2, cv2.LINE_AA)
    assert verdict(image) is VerdictKind.KEEP
    assert verdict(jpeg(image, 80)) is VerdictKind.KEEP


@pytest.mark.parametrize("seed", range(4))
def test_an_unsteady_hand_is_found(seed: int) -> None:
    shaken = blurred_by_optics(town(10 + seed), "tremor", 8.0, np.random.default_rng(seed))
    assert verdict(pixels(shaken)) is VerdictKind.BLUR


@pytest.mark.parametrize("sigma", [4, 8, 16])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_blur_needs_no_noise_to_be_found(sigma: float, noise: float) -> None:
    soft = blurred(town(9), sigma) + np.random.default_rng(0).normal(0, 1, (HEIGHT, WIDTH, 3)) * noise
    assert verdict(pixels(soft)) is VerdictKind.BLUR


@pytest.mark.parametrize("seed", range(4))
def test_a_hand_that_sways_is_found(seed: int) -> None:
    shaken = blurred_by_optics(town(20 + seed), "sway", 6.0, np.random.default_rng(seed))
    assert verdict(pixels(shaken)) is VerdictKind.BLUR


@pytest.mark.parametrize("seed", range(4))
def test_clouds_with_soft_rims_pass(seed: int) -> None:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH] / HEIGHT
    cover = sum(
        np.exp(-(((x - generator.uniform(0, 1.3)) / 0.15) ** 2) - ((y - generator.uniform(0, 1)) / 0.06) ** 2)
        for _ in range(9)
    )
    sky = np.array([60, 110, 180]) + 60 * y[..., None]
    assert verdict(jpeg(pixels(sky + (245 - sky) * (1 - np.exp(-np.asarray(cover)))[..., None]))) is VerdictKind.KEEP


@pytest.mark.parametrize("shape", [(1, 1), (300, 1), (1, 300), (2, 2)])
def test_a_white_picture_of_any_shape_is_measured(shape: tuple[int, int]) -> None:
    measure_quality(np.full((*shape, 3), 255, np.uint8))


def sheet(seed: int) -> Pixels:
    """Draw a spreadsheet as a screen shows it: thin grey lines, small black figures, nothing else on white."""
    random = np.random.default_rng(seed)
    page = np.full((900, 1600, 3), 255, np.uint8)
    page[::24] = page[:, ::110] = 217
    for row in range(37):
        for column in range(14):
            place = (8 + 110 * column, 17 + 24 * row)
            text = f"{random.integers(1, 99999) / 100:.2f}"
            cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("seed", range(4))
def test_a_white_spreadsheet_is_not_over_exposed(seed: int) -> None:
    quality = measure_quality(sheet(seed))
    assert judge_quality(quality, QualitySettings())[0] is VerdictKind.KEEP


@pytest.mark.parametrize("letters", [4, 12, 30])
@pytest.mark.parametrize("pen", [1, 2])
def test_a_sheet_with_a_few_words_is_no_blank_frame(letters: int, pen: int) -> None:
    page = np.full((600, 800, 3), 255, np.uint8)
    words = "abcdefghijklmnopqrstuvwxyzabcd"[:letters]
    cv2.putText(page, words, (30, 300), 0, 0.7 * pen, (20, 20, 20), pen, cv2.LINE_AA)
    assert verdict(page) is VerdictKind.KEEP
    assert verdict(jpeg(page, 80)) is VerdictKind.KEEP


@pytest.mark.parametrize("how", EXPOSURES)
@pytest.mark.parametrize("seed", [30, 31])
@pytest.mark.parametrize("share", [0.65, 0.8, 0.95])
def test_light_that_has_run_over_is_found_however_it_was_raised(how: str, seed: int, share: float) -> None:
    raised = pixels(overexposed(town(seed), share, how, np.random.default_rng(seed)))
    assert verdict(jpeg(raised, 85)) is VerdictKind.BRIGHT


def test_what_is_left_of_an_over_exposed_picture_may_be_dark() -> None:
    lit = np.arange(WIDTH) // 80 % 2 == 0
    room = np.where(lit[None, :, None], town(11, 0.5, 170), town(2, level=5))
    quality = measure_quality(pixels(overexposed(pixels(room), 0.56, "stretch", np.random.default_rng(1))))
    assert quality.tones == 0
    assert quality.brightness < SETTINGS.max_brightness
    assert judge_quality(quality, SETTINGS)[0] is VerdictKind.BRIGHT
    assert judge_quality(quality, QualitySettings(max_brightness=255))[0] is VerdictKind.KEEP


@pytest.mark.parametrize("share", [0.35, 0.5])
def test_a_white_sky_over_land_is_no_over_exposure(share: float) -> None:
    picture = town(33)
    picture[: int(share * HEIGHT)] = 255
    assert verdict(jpeg(picture, 90)) is VerdictKind.KEEP
