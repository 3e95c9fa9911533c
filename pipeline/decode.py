"""Bytes → oriented RGB pixels. Limits are checked on the header, before anything is allocated.

JPEG goes through OpenCV (libjpeg-turbo, a third faster here), everything else through Pillow with an allow-list
of formats. Only the first of several pictures is looked at, and transparency is laid on a ground; that a file holds
more than is seen is told with its format. Colour profiles are not applied: they are metadata, and two files that
differ only there must give the same pixels.
"""

import errno
import hashlib
import io
import os
import stat as stat_bits
import struct
import warnings
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from pipeline.mending import breaks_off, from_signature, with_end, without_damaged_notes
from pipeline.settings import DecodeSettings as DecodeSettings
from store.errors import DecodeError
from store.records import CUT_SHORT, SEVERAL_PICTURES, TRANSPARENT, FileStat

Pixels = NDArray[np.uint8]

# A damaged file is an answer here, not something to print on the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

HEIF = "HEIF"
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
# Whole files of kinds we do not read. Calling them damaged would send them to quarantine.
_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIU\0", "camera raw"),
)
_NETPBM = frozenset(b"P%d%c" % (kind, space) for kind in range(1, 8) for space in b" \t\r\n")
# Of pixels and layout: where they lie, how many, in what units. libvips writes ten of these by itself.
_OF_LAYOUT = frozenset(range(0x0100, 0x0104)) | {
    0x00FE, 0x0106, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011A, 0x011B, 0x011C, 0x0128,
    0x013D, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x0152, 0x0153, 0x015B, 0x0201, 0x0202, 0x0211, 0x0212, 0x0213,
    0x0214, 0x8769, 0x8773, 0x8825, 0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003, 0xA005,
}  # fmt: skip
_RAW_TIFF_TAG = 50706  # DNGVersion
_REDUCED_TIFF_TAG = 254  # NewSubfileType: 1 = a reduced copy, which in camera raw files comes first
_MP_ENTRY = 0xB002  # CIPA DC-007: the list of pictures in a JPEG
# In the XMP of a JPEG: a film, or a gain map (Ultra HDR), lies behind the picture.
_MORE_BEHIND = (b'MotionPhoto="1"', b'MicroVideo="1"', b"hdrgm:Version")
_FILM_BEHIND = b"MotionPhoto_Data"  # the same without XMP
# What is visible is light from this mean grey on. On white, nothing is seen of what is lighter than this shade; so much
# that is darker is enough: white logos have up to 1.6 % (their edges), windows, diagrams and drawings from 4 %.
_LIGHT, _SHADE, _ENOUGH_SHADE = 200.0, 192, 0.02

# What Pillow's readers are seen to raise on damaged input. Not MemoryError: that is no fault of the file.
_PILLOW_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError,
    EOFError, RuntimeError, AssertionError, struct.error,
)  # fmt: skip


class LimitError(DecodeError):
    """A picture beyond the limits on bytes, pixels or memory."""


class UnsupportedError(DecodeError):
    """A whole file of a kind this installation cannot decode: no verdict on its content."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An oriented picture: `rgb` is uint8 [height, width, 3]."""

    rgb: Pixels
    format: str  # with notes, as `Picture.format` has them
    metadata_fields: int
    luma_steps: tuple[int, ...] = ()  # the quantisation table of a JPEG, 64 numbers row by row
    unseen: bytes = b""  # digest of what the file holds and `rgb` does not show; empty for nothing


def read_regular(path: str, max_bytes: int) -> tuple[FileStat, bytes]:
    """Read a whole regular file without following a link or waiting on a pipe.

    Raises OSError as the system gives it; FileNotFoundError also where the file is not regular or changed while
    it was read; LimitError beyond `max_bytes`.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(os.fsencode(path), flags)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat_bits.S_ISREG(before.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file", path)
        if before.st_size > max_bytes:
            raise LimitError(f"{before.st_size:,} bytes, the limit is {max_bytes:,}")
        data = file.read()
        after = os.fstat(descriptor)
    if len(data) != before.st_size or _state(before) != _state(after):
        raise FileNotFoundError(errno.ESTALE, "changed while it was read", path)
    return FileStat.of(path, after), data


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def sniff(data: bytes) -> str:
    """Name the format by content alone; raise DecodeError where it is none we know, UnsupportedError where we do."""
    if not data:
        raise DecodeError("the file is empty")
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _sniff_heif(data)
    if data[:3] in _NETPBM:
        return "PPM"
    for signature, name in _UNSUPPORTED:
        if data.startswith(signature):
            raise UnsupportedError(f"{name} files are not decoded")
    raise DecodeError("not a picture: the content has no known signature")


def _sniff_heif(data: bytes) -> str:
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[start : start + 4] for start in range(16, size, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIF_BRANDS:
        return HEIF
    raise UnsupportedError("films and other ISO media files are not decoded")


def decode(data: bytes, settings: DecodeSettings) -> Decoded:
    """Decode the first frame into oriented RGB.

    Raises LimitError beyond the limits, UnsupportedError where a decoder is missing, DecodeError for the rest,
    MemoryError where the machine has too little.
    """
    data = from_signature(data)
    name = sniff(data)
    # Pillow allocates while it opens some files (a GIF's frame may exceed its screen); it refuses at the double.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max(1, settings.max_pixels // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about damaged metadata, which is not our subject
        try:
            return _decode(data, name, settings)
        except DecodeError:
            raise
        except Image.DecompressionBombError as error:
            raise LimitError(f"more pixels than the limit of {settings.max_pixels:,}") from error
        except UnidentifiedImageError as error:  # its message names an object in memory
            if "unknown pixel mode" in _refusal(data, name):
                raise UnsupportedError(f"{name} files with pixels of this kind are not decoded") from error
            raise DecodeError(f"damaged {name}: only the signature is right") from error
        except _PILLOW_ERRORS as error:
            raise DecodeError(f"damaged {name}: {error or type(error).__name__}") from error
        except cv2.error as error:
            if error.code == cv2.Error.StsNoMem:
                raise MemoryError from error
            raise DecodeError(f"damaged {name}: {error.err}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _refusal(data: bytes, name: str) -> str:
    """Give the reason why Pillow does not open a file, which `Image.open` keeps to itself."""
    try:
        Image.OPEN[name][0](io.BytesIO(data), "")
    except _PILLOW_ERRORS as error:
        return str(error)
    return ""


def _decode(data: bytes, name: str, settings: DecodeSettings) -> Decoded:
    try:
        return _decode_whole(data, name, settings)
    except _PILLOW_ERRORS:
        cut_short, mended = False, without_damaged_notes(data) if name == "PNG" else None
        if name == "JPEG" and (ended := with_end(data)) is not None:
            mended, cut_short = ended
        if mended is None:
            raise
    decoded = _decode_whole(mended, name, settings)
    return replace(decoded, format=f"{decoded.format}, {CUT_SHORT}") if cut_short else decoded


def _decode_whole(data: bytes, name: str, settings: DecodeSettings) -> Decoded:
    image = _open(data, name)
    width, height = image.size
    if width * height > settings.max_pixels:
        raise LimitError(f"{width} x {height} pixels, the limit is {settings.max_pixels:,}")
    if name == "TIFF":
        _refuse_raw(data, image)
    if name == "PNG":
        image.load()  # looking for notes, Pillow would load it, and damage would be taken for that of a note
    metadata_fields, orientation = _metadata(image)
    rgb, unseen = _decode_jpeg(data, image) if name == "JPEG" else None, b""
    if rgb is None:
        image.load()
        # Pillow turns some TIFFs by itself while loading, and takes the tag away.
        orientation = _metadata(image)[1]
        rgb, unseen = _to_rgb(image, orientation)
    steps = tuple(getattr(image, "quantization", {}).get(0, ()))
    notes = [name]
    if unseen:
        notes.append(TRANSPARENT)
    if _holds_several(image, data, name):
        notes.append(SEVERAL_PICTURES)
        unseen = hashlib.sha256(data).digest()  # what the others show was not looked at: only equal bytes are equal
    return Decoded(orient(rgb, orientation), ", ".join(notes), metadata_fields, steps, unseen)


def _holds_several(image: Image.Image, data: bytes, name: str) -> bool:
    """Tell whether a decodable file holds more than one picture, or a film, without decoding the others."""
    try:
        if name == "JPEG":
            entries = getattr(image, "mpinfo", {}).get(_MP_ENTRY, ())
            # Cameras put larger thumbnails there, which show nothing of their own.
            others = [entry for entry in entries if not entry["Attribute"]["MPType"].startswith("Large Thumbnail")]
            xmp = image.info.get("xmp", b"")
            return len(others) > 1 or any(note in xmp for note in _MORE_BEHIND) or _FILM_BEHIND in data
        if name == "GIF":  # anew: to look for a second frame, Pillow goes back to the start
            image = _open(data, name)
        return bool(getattr(image, "is_animated", False))
    except _PILLOW_ERRORS:
        return True  # something is there, whatever it is


def _open(data: bytes, name: str) -> Image.Image:
    if name == HEIF:
        _register_heif()
    # A JPEG with more pictures behind the first (MPO) is a JPEG to us; Pillow sees that while opening it.
    return Image.open(io.BytesIO(data), formats=[name])


def _register_heif() -> None:
    if HEIF in Image.OPEN:
        return
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        hint = "install the package pillow-heif"
        raise UnsupportedError("HEIC needs the optional package pillow-heif", hint) from error
    register_heif_opener()


def _refuse_raw(data: bytes, image: Image.Image) -> None:
    tags = getattr(image, "tag_v2", {})
    if data[8:10] == b"CR" or _RAW_TIFF_TAG in tags or tags.get(_REDUCED_TIFF_TAG) == 1:
        # Its first frame is a thumbnail; taking that for the picture would make every other copy look better.
        raise UnsupportedError("camera raw files are not decoded")


def _metadata(image: Image.Image) -> tuple[int, int]:
    """Return the number of EXIF tags and the orientation, 1 to 8; damaged metadata counts as none.

    What libraries write by themselves about pixels and layout is not counted.
    """
    try:
        exif = image.getexif()
        tags = [*exif, *exif.get_ifd(ExifTags.IFD.Exif), *exif.get_ifd(ExifTags.IFD.GPSInfo)]
        fields = sum(tag not in _OF_LAYOUT for tag in tags)
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except _PILLOW_ERRORS:
        return 0, 1
    return min(fields, 0xFFFF), orientation if orientation in range(1, 9) else 1


def _decode_jpeg(data: bytes, image: Image.Image) -> Pixels | None:
    """Decode with OpenCV; None where Pillow must look: CMYK, and what OpenCV refuses without a reason."""
    if image.mode not in ("RGB", "L"):
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.shape[1::-1] != image.size:
        return None
    if breaks_off(data, stored := np.asarray(pixels, np.uint8)):
        raise DecodeError("damaged JPEG: it breaks off, and nobody knows the rest")
    return stored


def _to_rgb(image: Image.Image, orientation: int) -> tuple[Pixels, bytes]:
    """Convert any mode to RGB: 16 bits and floats are scaled, transparency is laid on a ground.

    Returns stored pixels, and a digest of the oriented picture with its transparency, empty where it is opaque.
    """
    if image.mode.startswith(("I", "F")):
        grey = _scale_to_bytes(np.asarray(image))
        return np.ascontiguousarray(np.broadcast_to(grey[..., None], (*grey.shape, 3))), b""
    unseen = b""
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        alpha = layered.getchannel("A")
        if np.asarray(alpha).min(initial=255) < 255:
            unseen = _digest_of_layers(layered, orientation)
        image = Image.new("RGB", image.size, _ground(layered, alpha))
        image.paste(layered, mask=alpha)
    return np.array(image if image.mode == "RGB" else image.convert("RGB")), unseen


def _ground(layered: Image.Image, alpha: Image.Image) -> tuple[int, int, int]:
    """Choose what a transparent picture is laid on.

    White, as most viewers and converters do, so that a flattened copy looks the same. But a white logo on white
    would be an empty page: what is all light is laid on black. A diagram or a window is light, too, but dark words in
    it, and beside it, show on white, where black would hide some of them.
    """
    opacity = np.asarray(alpha)
    visible = int(opacity.sum(dtype=np.int64))
    if not visible:
        return 255, 255, 255
    grey = np.asarray(layered.convert("L"))
    light = int(np.einsum("ij,ij->", grey, opacity, dtype=np.int64)) / visible
    if light <= _LIGHT or int(opacity[grey < _SHADE].sum(dtype=np.int64)) >= _ENOUGH_SHADE * visible:
        return 255, 255, 255
    return 0, 0, 0


def _digest_of_layers(layered: Image.Image, orientation: int) -> bytes:
    """Hash what is visible of an RGBA picture, upright: colours that nobody sees do not count."""
    layers = np.array(layered)
    layers[layers[..., 3] == 0] = 0
    return pixels_sha256(orient(layers, orientation))


def _scale_to_bytes(values: NDArray[np.generic]) -> Pixels:
    """Scale grey of more than 8 bits: integers by their width, floats of 0 to 1 by 255, others by their extremes."""
    numbers = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and values.dtype.kind in "iu" and high <= 0xFFFF:
        low, high = 0.0, 255.0 if high <= 0xFF else 65535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return ((numbers - low) * (255.0 / max(high - low, 1e-12)) + 0.5).clip(0, 255).astype(np.uint8)


def orient(rgb: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels upright by the EXIF orientation, 1 to 8 (TIFF 6.0, tag 274)."""
    if orientation >= 5:
        rgb = cv2.transpose(rgb)  # type: ignore[assignment]  # OpenCV's stubs forget the dtype
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    if orientation in flips:
        rgb = cv2.flip(rgb, flips[orientation])  # type: ignore[assignment]
    return rgb


def pixels_sha256(rgb: Pixels, unseen: bytes = b"") -> bytes:
    """Hash shape and bytes of the oriented pixels: equal for equal pictures, whatever the metadata.

    `unseen` is the digest of what the file holds besides (`Decoded.unseen`).
    """
    digest = hashlib.sha256(struct.pack(">II", *rgb.shape[:2]))
    digest.update(np.ascontiguousarray(rgb).data)
    digest.update(unseen)
    return digest.digest()


def shrink(pixels: Pixels, long_side: int) -> Pixels:
    """Reduce by averaging areas until the long side is at most `long_side` pixels; never enlarge.

    Halving first costs 24 megapixels 9 ms instead of 74, and a picture that was halved before gives the same result.
    """
    pixels = halve_above(pixels, 2 * long_side)
    height, width = pixels.shape[:2]
    if max(height, width) <= long_side:
        return pixels
    scale = long_side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def halve_above(pixels: Pixels, long_side: int) -> Pixels:
    """Halve while the long side is at least `long_side` pixels; an odd last row or column is dropped."""
    while max(pixels.shape[:2]) >= long_side and min(pixels.shape[:2]) >= 2:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels
