"""F28: colour models, depths, palettes, orientations and several pictures in one file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodeSettings, decode, shrink
from store.errors import DecodeError
from tests.faults.conftest import Record
from tests.gallery import draw
from tests.unit.pipeline.test_decode import STORED, encode, oriented

SETTINGS = DecodeSettings()
PHOTOS = Path(__file__).parents[3] / "shared" / "photos"
SCENE = Image.fromarray(draw(5, (240, 160)))
NEAR = 14.0  # mean difference in grey levels: colour models and lossy formats are not exact

MODES: dict[tuple[str, str], dict[str, object]] = {
    **{("RGB", name): {} for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM", "GIF")},
    **{("L", name): {} for name in ("JPEG", "PNG", "TIFF", "WEBP", "JPEG2000", "PPM")},
    **{("CMYK", name): {} for name in ("JPEG", "TIFF")},
    **{("RGBA", name): {} for name in ("PNG", "WEBP", "TIFF", "AVIF")},
    **{("P", name): {} for name in ("PNG", "GIF", "TIFF", "BMP")},
    ("LA", "PNG"): {},
    ("YCbCr", "JPEG"): {},
    ("LAB", "TIFF"): {},
    ("1", "PNG"): {},
    ("1", "TIFF"): {"compression": "group4"},
    ("RGB", "JPEG progressive"): {"progressive": True},
    ("RGB", "TIFF lzw"): {"compression": "tiff_lzw"},
    ("RGB", "TIFF jpeg"): {"compression": "jpeg"},
}


def looks_like(rgb: np.ndarray, expected: Image.Image) -> float:
    other = np.asarray(expected.convert("RGB"))
    assert rgb.shape == other.shape
    return float(np.abs(rgb.astype(int) - other.astype(int)).mean())


@pytest.mark.fault(
    "F28", injected="every colour model in every format that can hold it", figure="supported 100 % or listed"
)
def test_every_mode_of_every_format(record: Record) -> None:
    far = {}
    for (mode, name), options in MODES.items():
        converted = SCENE.convert(mode)
        decoded = decode(encode(converted, name.split()[0], **options), SETTINGS)
        difference = looks_like(decoded.rgb, converted)
        if difference > NEAR:
            far[mode, name] = difference
    assert far == {}
    record(len(MODES), 0, f"supported {len(MODES)}/{len(MODES)}")


@pytest.mark.fault("F28", injected="16 bits, floats, 12 bits in 16", figure="supported 100 % or listed")
def test_deep_pictures(record: Record) -> None:
    grey = np.asarray(SCENE.convert("L"))
    deep = {
        "16-bit PNG": encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "16-bit TIFF": encode(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"),
        "float TIFF": encode(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "16-bit PGM": encode(Image.fromarray(grey.astype(np.uint16) * 257), "PPM"),
        "32-bit TIFF": encode(Image.fromarray(grey.astype(np.int32)), "TIFF"),
    }
    for name, data in deep.items():
        assert looks_like(decode(data, SETTINGS).rgb, Image.fromarray(grey)) < 30, name
    record(len(deep), 0, f"supported {len(deep)}/{len(deep)}")


@pytest.mark.fault("F28", injected="all eight EXIF orientations in four formats", figure="rotated copies comparable")
def test_orientations(record: Record) -> None:
    for name in ("JPEG", "PNG", "WEBP", "TIFF"):
        for orientation, turn in STORED.items():
            stored = SCENE if turn is None else SCENE.transpose(turn)
            assert looks_like(decode(oriented(stored, orientation, name), SETTINGS).rgb, SCENE) < 8, (name, orientation)
    record(32, 0, "upright 32/32")


@pytest.mark.fault(
    "F28", injected="MPO, animations, multi-page TIFF", figure="first picture looked at, and told that there are more"
)
def test_the_first_picture_counts(record: Record) -> None:
    other = Image.fromarray(draw(6, (240, 160)))
    for name in ("MPO", "GIF", "WEBP", "TIFF", "PNG"):
        buffer = io.BytesIO()
        SCENE.copy().save(buffer, name, save_all=True, append_images=[other.copy()])
        decoded = decode(buffer.getvalue(), SETTINGS)
        assert looks_like(decoded.rgb, SCENE) < NEAR, name
        assert decoded.format.endswith("several pictures"), name
    record(5)


@pytest.mark.fault("F28", injected="the format collection of shared/photos", figure="supported 100 % or listed")
@pytest.mark.photos
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photos are not here")
@pytest.mark.slow
def test_the_format_collection(record: Record) -> None:
    listed: dict[str, list[str]] = {}
    read = 0
    for path in sorted(item for item in (PHOTOS / "formats").rglob("*") if item.is_file() and item.suffix != ".md"):
        try:
            shrink(decode(path.read_bytes(), SETTINGS).rgb, 64)
            read += 1
        except DecodeError as error:
            listed.setdefault(error.message.partition(":")[0], []).append(path.name)
    told = "; ".join(f"{reason}: {len(names)}" for reason, names in listed.items())
    assert read > 40
    record(read + sum(map(len, listed.values())), 0, f"read {read}; refused with a reason: {told or 'none'}")
