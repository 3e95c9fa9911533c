"""Of two that show the same, the original is found: by its traces, and by what lies where."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from pipeline.measuring import MeasureTask, measure
from pipeline.originals import Preference, find_original
from pipeline.previewing import decode_preview
from pipeline.settings import DecodeSettings, QualitySettings, VerifySettings
from pipeline.verify import prepare, verify
from store.records import Hashes, Lineage, Measurement, Observation, Picture, Quality, Relation, Traces
from tests.unit.pipeline.test_hashing import scene


def drawn(seed: int = 3) -> Image.Image:
    """A sharp scene with edges, texture and some grain."""
    generator = np.random.default_rng(seed)
    picture = Image.fromarray(scene(seed, 640, 480)).filter(ImageFilter.GaussianBlur(1))
    pen = ImageDraw.Draw(picture)
    for _ in range(70):
        x, y, size = (int(generator.integers(0, limit)) for limit in (600, 440, 60))
        pen.ellipse((x, y, x + size, y + size // 2 + 4), tuple(int(v) for v in generator.integers(20, 235, 3)))
    grain = generator.normal(0, 1.5, (480, 640, 1))
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seen(data: bytes, folder: Path) -> tuple[Observation, Measurement]:
    path = folder / "picture"
    path.write_bytes(data)
    found = measure(MeasureTask(str(path), 96), DecodeSettings(), QualitySettings())
    assert isinstance(found, Measurement)
    return Observation(len(data), found.picture, found.quality, found.hashes, found.traces), found


def judged(original: bytes, copy: bytes, folder: Path) -> Preference:
    """Judge a pair as the program does, and the other way round."""
    (ours, first), (theirs, second) = seen(original, folder), seen(copy, folder)
    lineage = Lineage(Relation.SAME)
    if ours.picture.pixels_sha256 != theirs.picture.pixels_sha256:
        previews = [prepare(decode_preview(each.preview)) for each in (first, second)]
        look = verify(previews[0], previews[1], VerifySettings())
        assert look.kind is not None
        lineage = look.lineage
    found = find_original(ours, theirs, lineage)
    turned = replace(
        lineage, whole=(0, 2, 1)[lineage.whole], first_covered=lineage.second_covered,
        second_covered=lineage.first_covered,
    )  # fmt: skip
    assert find_original(theirs, ours, turned) == found.turned()
    return found


def marked(image: Image.Image) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).rectangle((200, 300, 420, 360), "white", "black", 4)
    return copy


def speckled(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(5).normal(0, 7, (480, 640, 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def paged(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", (900, 800), "#fafafa")
    page.paste(image, (130, 100))
    pen = ImageDraw.Draw(page)
    for line in range(620, 790, 24):
        pen.text((40, line), "some words below the picture, as on a page " * 2, "black")
    return page


def on_a_telephone(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", (1200, 1900), "black")
    page.paste(image.resize((1200, 900), Image.Resampling.BILINEAR), (0, 500))
    ImageDraw.Draw(page).text((60, 20), "12:41", "white")
    return page


def smeared_widely(image: Image.Image) -> Image.Image:
    line = np.zeros((9, 9), np.float32)
    line[4] = 1 / 9
    return Image.fromarray(cv2.filter2D(np.asarray(image), -1, line))


def tiled(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    for place in range(24):
        ImageDraw.Draw(layer).text((160 * (place % 4), 80 * (place // 4)), "for preview only", (255, 255, 255, 110))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def lined(image: Image.Image, gap: int = 120, opacity: int = 120, width: int = 5) -> Image.Image:
    """Draw lines across a picture, both ways."""
    layer = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(layer)
    for place in range(-480, 640, gap):
        pen.line((place, 0, place + 480, 480), (255, 255, 255, opacity), width)
        pen.line((place + 480, 0, place, 480), (255, 255, 255, opacity), width)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def again(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, quality=quality))).convert("RGB")


SMEAR = ImageFilter.Kernel((5, 5), [25 * (row == column) for row in range(5) for column in range(5)])
COPIES = {
    "enlarged a little": lambda i: saved(i.resize((864, 648), Image.Resampling.BICUBIC), quality=92),
    "compressed as much": lambda i: saved(i, quality=83),
    "saved a little finer": lambda i: saved(i, quality=88),
    "marked and compressed": lambda i: saved(marked(i), quality=70),
    "noisy": lambda i: saved(speckled(i), quality=95),
    "reduced": lambda i: saved(i.resize((320, 240), Image.Resampling.LANCZOS), quality=92),
    "enlarged": lambda i: saved(i.resize((1120, 840), Image.Resampling.BICUBIC), quality=92),
    "doubled": lambda i: saved(i.resize((1280, 960), Image.Resampling.BOX), quality=90),
    "doubled by the nearest": lambda i: saved(i.resize((1280, 960), Image.Resampling.NEAREST), quality=80),
    "enlarged back": lambda i: saved(
        i.resize((320, 240), Image.Resampling.BOX).resize(i.size, Image.Resampling.BICUBIC)
    ),
    "blurred": lambda i: saved(i.filter(ImageFilter.GaussianBlur(1.2)), "PNG"),
    "sharpened": lambda i: saved(i.filter(ImageFilter.UnsharpMask(2, 250, 0)), quality=95),
    "compressed": lambda i: saved(i, quality=40),
    "saved finer": lambda i: saved(i, quality=97),
    "compressed, then in another format": lambda i: saved(again(i, 30), "PNG"),
    "compressed, then saved finer": lambda i: saved(again(i, 50), quality=92),
    "compressed again and again": lambda i: saved(again(again(i, 60), 40), quality=92),
    "sharpened twice": lambda i: saved(
        i.filter(ImageFilter.EDGE_ENHANCE_MORE).filter(ImageFilter.EDGE_ENHANCE_MORE), quality=90
    ),
    "smeared": lambda i: saved(i.filter(SMEAR), quality=94),
    "median of nine": lambda i: saved(i.filter(ImageFilter.MedianFilter(3)), quality=90),
    "enlarged back from three quarters": lambda i: saved(
        i.resize((480, 360), Image.Resampling.BILINEAR).resize(i.size, Image.Resampling.LANCZOS), quality=86
    ),
    "enlarged back, pixels doubled": lambda i: saved(
        i.resize((256, 192), Image.Resampling.BICUBIC).resize(i.size, Image.Resampling.NEAREST), quality=90
    ),
    "blurred widely": lambda i: saved(i.filter(ImageFilter.GaussianBlur(3.5)), "PNG"),
    "lined": lambda i: saved(lined(i), quality=75),
    "lined, in another format": lambda i: saved(lined(i), "PNG"),
    "marked all over": lambda i: saved(tiled(i), quality=88),
    "another format": lambda i: saved(i, "PNG"),
    "cropped": lambda i: saved(i.crop((30, 20, 600, 450)), quality=95),
    "cropped and enlarged": lambda i: saved(i.crop((80, 60, 560, 420)).resize((640, 480), Image.Resampling.LANCZOS)),
    "bordered": lambda i: saved(ImageOps.expand(i, 24, "black"), quality=95),
    "thinly bordered": lambda i: saved(ImageOps.expand(i, 4, "white"), quality=95),
    "letterboxed": lambda i: saved(ImageOps.expand(i, (0, 90, 0, 90), "black"), quality=95),
    "enlarged on a page": lambda i: saved(on_a_telephone(i), "PNG"),
    "smeared widely": lambda i: saved(smeared_widely(i), quality=90),
    "on a page": lambda i: saved(paged(i), "PNG"),
    "marked": lambda i: saved(marked(i), quality=97),
    "grey": lambda i: saved(ImageOps.grayscale(i).convert("RGB"), quality=97),
    "sharpened next to nothing": lambda i: saved(i.filter(ImageFilter.DETAIL), quality=92),
    "sharpened by a kernel": lambda i: saved(i.filter(ImageFilter.SHARPEN), quality=88),
    "smoothed by a kernel": lambda i: saved(i.filter(ImageFilter.SMOOTH), quality=92),
    "tinted": lambda i: saved(ImageOps.colorize(ImageOps.grayscale(i), "#100800", "#ffe8c0"), quality=95),
    "in few colours": lambda i: saved(i.quantize(64), "PNG"),
    "in few colours, dithered": lambda i: saved(
        i.quantize(palette=i.quantize(32), dither=Image.Dither.FLOYDSTEINBERG), "PNG"
    ),
    "in bands": lambda i: saved(ImageOps.posterize(i, 4), "PNG"),
    "of more contrast": lambda i: saved(ImageOps.autocontrast(i, cutoff=4), "PNG"),
    "brighter": lambda i: saved(i.point([round(255 * (v / 255) ** 0.7) for v in range(256)] * 3), quality=92),
}


@pytest.mark.parametrize("kind", COPIES)
def test_the_original_is_preferred_to_its_copy(kind: str, tmp_path: Path) -> None:
    original = saved(drawn(), quality=85)
    image = Image.open(io.BytesIO(original)).convert("RGB")
    found = judged(original, COPIES[kind](image), tmp_path)
    assert found.original == 1, found
    assert found.reason


def test_a_grey_original_is_not_a_copy_of_a_tinted_one(tmp_path: Path) -> None:
    grey = ImageOps.grayscale(drawn())
    tinted = saved(ImageOps.colorize(grey, "black", "#ffe8c0"), quality=70)
    assert judged(saved(grey.convert("RGB"), quality=85), tinted, tmp_path).original == 1


def test_a_coloured_band_over_a_grey_picture_is_no_colour_that_the_other_lost(tmp_path: Path) -> None:
    original = saved(ImageOps.grayscale(drawn()).convert("RGB"), quality=80)
    copy = Image.open(io.BytesIO(original)).convert("RGB")
    ImageDraw.Draw(copy).rectangle((0, 0, 640, 90), "#7a8c10")
    assert judged(original, saved(copy, quality=90), tmp_path).original == 1


def test_what_takes_energy_away_is_no_noise(tmp_path: Path) -> None:
    coarse = saved(drawn(), quality=60)
    through = Image.open(io.BytesIO(saved(Image.open(io.BytesIO(coarse)).convert("RGB"), "WEBP", quality=45)))
    found = judged(coarse, saved(through.convert("RGB"), quality=92), tmp_path)
    assert found.reason != "noise was added to the other"


def test_noise_that_was_added_is_told_from_noise_that_was_lost(tmp_path: Path) -> None:
    clean = drawn()
    noise = np.random.default_rng(0).normal(0, 1, (480, 640, 3))
    noisy, grainy = (
        Image.fromarray((np.asarray(clean) + sigma * noise).clip(0, 255).astype(np.uint8)) for sigma in (9, 5)
    )
    added = judged(saved(clean, quality=90), saved(noisy, quality=97), tmp_path)
    assert added == Preference(1, "noise was added to the other")
    assert judged(saved(grainy, quality=95), saved(grainy, quality=30), tmp_path).original == 1


def test_a_crop_far_finer_than_the_whole_is_no_copy_of_it(tmp_path: Path) -> None:
    large = drawn().resize((1600, 1200), Image.Resampling.NEAREST)  # detail at every scale
    whole, part = large.resize((400, 300), Image.Resampling.BOX), large.crop((300, 200, 1300, 1000))
    assert judged(saved(whole, quality=95), saved(part, quality=95), tmp_path) == Preference()


def test_who_lost_what_a_camera_wrote_is_the_copy(tmp_path: Path) -> None:
    ours, _ = seen(saved(drawn(), quality=70), tmp_path)
    finer, _ = seen(saved(drawn(), quality=95), tmp_path)
    same = Lineage(Relation.SAME)
    assert find_original(ours, finer, same).original == 2
    written = replace(ours, picture=replace(ours.picture, metadata_fields=40))
    assert find_original(written, finer, same) == Preference(1, "the other lost what its camera wrote into it")
    few = replace(ours, picture=replace(ours.picture, metadata_fields=7))
    assert find_original(few, finer, same).original == 2, "programs and people write some: a title, an artist, a rating"
    tagged = replace(finer, picture=replace(finer.picture, metadata_fields=2))
    assert find_original(written, tagged, same).original == 2, "both carry some: the pixels tell"


def test_a_drawing_of_few_colours_is_not_a_copy_of_what_was_saved_from_it(tmp_path: Path) -> None:
    drawing = Image.new("RGB", (640, 480), "white")
    pen = ImageDraw.Draw(drawing)
    for number in range(60):
        corner = 11 * number % 600, 37 * number % 440
        pen.rectangle((*corner, corner[0] + 50, corner[1] + 30), ("navy", "#c04020", "#f0d060")[number % 3], "black")
    for quality in (60, 90):
        assert judged(saved(drawing, "PNG"), saved(drawing, quality=quality), tmp_path).original != 2


SHARPENED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mask": lambda image: image.filter(ImageFilter.UnsharpMask(2, 250, 2)),
    "kernel": lambda image: image.filter(ImageFilter.SHARPEN).filter(ImageFilter.SHARPEN),
    "enhanced": lambda image: ImageEnhance.Sharpness(image).enhance(5),
}


@pytest.mark.parametrize("kind", SHARPENED)
@pytest.mark.parametrize("quality", [80, 93])
def test_what_a_camera_s_format_holds_may_be_sharpened_from_one_of_the_web(
    kind: str, quality: int, tmp_path: Path
) -> None:
    original = saved(drawn(), "WEBP", quality=quality)
    copy = SHARPENED[kind](Image.open(io.BytesIO(original)).convert("RGB"))
    assert judged(original, saved(copy, quality=85), tmp_path).original == 1
    converted = saved(drawn(), quality=90)
    assert judged(converted, saved(Image.open(io.BytesIO(converted)), "WEBP", quality=40), tmp_path).original == 1


def test_a_copy_that_was_sharpened_a_little_and_compressed_is_no_original_of_a_finer_file(tmp_path: Path) -> None:
    original = saved(drawn(4), quality=95)
    copy = Image.open(io.BytesIO(original)).convert("RGB").filter(ImageFilter.SHARPEN)
    assert judged(original, saved(copy, quality=80), tmp_path).original == 1


def test_levels_that_webp_never_has_are_none_that_were_lost(tmp_path: Path) -> None:
    grey = ImageOps.grayscale(drawn()).convert("RGB")
    original = saved(grey, "WEBP", quality=90)
    image = Image.open(io.BytesIO(original)).convert("RGB")
    assert judged(original, saved(image.filter(ImageFilter.BoxBlur(2)), quality=90), tmp_path).original == 1
    few = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=24).convert("RGB")
    assert judged(original, saved(few, "PNG"), tmp_path).original == 1


def test_pixels_in_a_fraction_of_the_bytes_were_compressed_with_a_loss_and_converted_after(tmp_path: Path) -> None:
    original = saved(drawn(), "WEBP", quality=85)
    converted = saved(Image.open(io.BytesIO(original)).convert("RGB"), "PNG")
    assert judged(original, converted, tmp_path).original == 1
    whole = saved(drawn(), "PNG")
    assert judged(whole, saved(drawn(), "WEBP", lossless=True), tmp_path) == Preference(), "neither lost anything"


def test_two_of_one_size_are_not_reduced_whatever_share_the_look_covers(tmp_path: Path) -> None:
    image = drawn()
    ours, _ = seen(saved(image, quality=92), tmp_path)
    small = image.resize((200, 150), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    theirs, _ = seen(saved(small, quality=92), tmp_path)
    for covered in (0.995, 1.0):
        assert find_original(ours, theirs, Lineage(Relation.SAME, 0, 1.0, covered)).original == 1
        assert find_original(ours, theirs, Lineage(Relation.SAME, 0, covered, 1.0)).original == 1


def test_nothing_is_said_of_two_that_nothing_tells_apart(tmp_path: Path) -> None:
    ours, _ = seen(saved(drawn(), quality=90), tmp_path)
    other = replace(ours, picture=replace(ours.picture, pixels_sha256=b"other"))
    assert find_original(ours, other, Lineage(Relation.SAME)) == Preference()
    assert find_original(ours, other, Lineage(Relation.UNKNOWN)) == Preference()


shares = st.sampled_from((0.3, 0.8, 0.97, 1.0))
traces = st.builds(
    Traces,
    st.binary(min_size=20, max_size=20) | st.just(b""),
    *(st.floats(-0.2, 1) for _ in range(1)),
    st.floats(0, 20),
    st.floats(0, 1),
    st.sampled_from((0.0, 1.0, 6.0, 6.1, 20.0)),
    st.sampled_from((0.0, 3.0, 6.0, 20.0)),
    st.sampled_from((0.0, 30.0)),
    st.sampled_from((0.0, 0.02, 0.3)),
    st.just(b"") | st.binary(min_size=256, max_size=256),
    st.sampled_from((b"", bytes(15 + 30 * 64), bytes([9] * 15) + bytes(range(240)) * 8)),
    st.sampled_from((b"", bytes(1), bytes([40]), bytes([200]))),
    st.sampled_from((b"", *(each.tobytes() for each in np.random.default_rng(2).integers(9, 99, (2, 2368), np.uint8)))),
)


def observed(width: int, form: str, pixels: int, tags: int, left: Traces | None) -> Observation:
    picture = Picture(width, 480, form, bytes([pixels]), tags)
    return Observation(1, picture, Quality(*[1.0] * 8), Hashes(b"", 0, 0, True), left)


observations = st.builds(
    observed, st.sampled_from((480, 640, 650, 1280)), st.sampled_from(("JPEG", "PNG", "WEBP")), st.integers(0, 2),
    st.sampled_from((0, 2, 40)),
    st.none() | traces,
)  # fmt: skip
lineages = st.builds(Lineage, st.sampled_from(Relation), st.integers(0, 2), shares, shares)


def test_a_crop_enlarged_to_the_size_of_the_whole_loses(tmp_path: Path) -> None:
    image = drawn()
    part = image.crop((100, 75, 550, 412)).resize(image.size, Image.Resampling.LANCZOS)
    assert judged(saved(image, quality=80), saved(part, quality=95), tmp_path).original == 1


def test_a_crop_of_texture_is_no_picture_on_a_page(tmp_path: Path) -> None:
    grain = np.random.default_rng(4).integers(0, 256, (480, 640), dtype=np.uint8)
    fine = np.asarray(Image.fromarray(grain).filter(ImageFilter.GaussianBlur(1.3)), np.float32)
    image = Image.fromarray((128 + 3 * (fine - 128)).clip(0, 255).astype(np.uint8)).convert("RGB")
    cut = image.crop((60, 50, 560, 430))  # what lies beyond its rim is unlike what lies within, but no page
    assert judged(saved(image, quality=85), saved(cut, quality=92), tmp_path).original == 1


def test_one_too_tiny_for_a_spectrum_is_reduced(tmp_path: Path) -> None:
    image = drawn()
    tiny = image.resize((80, 60), Image.Resampling.LANCZOS)
    assert judged(saved(image, quality=80), saved(tiny, quality=95), tmp_path) == Preference(1, "the other is reduced")


@given(observations, observations, lineages)
def test_turning_the_pair_turns_the_answer(ours: Observation, theirs: Observation, lineage: Lineage) -> None:
    turned = Lineage(lineage.relation, (0, 2, 1)[lineage.whole], lineage.second_covered, lineage.first_covered)
    found = find_original(ours, theirs, lineage)
    assert find_original(theirs, ours, turned).original == found.turned().original


@pytest.mark.parametrize("seed", [3, 4])
def test_of_a_turned_picture_the_copy_with_empty_corners_loses(seed: int, tmp_path: Path) -> None:
    image = drawn(seed)
    turned = image.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor="black")
    assert judged(saved(image, quality=90), saved(turned, quality=95), tmp_path).original == 1


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "JPEG"])
def test_a_soft_picture_stays_beside_one_of_hardly_any_bytes(form: str, tmp_path: Path) -> None:
    """A planet, a slice of a scan: what compression leaves is all the fine detail that either has."""
    soft = drawn().filter(ImageFilter.GaussianBlur(4))
    assert judged(saved(soft, "PNG"), saved(soft, form, quality=25), tmp_path).original == 1
