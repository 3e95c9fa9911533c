"""One read and one decode of a file, from which every stage is served. Runs in worker processes."""

from dataclasses import dataclass

from pipeline import decode as decoding
from pipeline import hashing, previewing
from pipeline.decode import Pixels, UnsupportedError
from pipeline.detail import MIN_SIDE, band_energy, detail_of, textured_tiles
from pipeline.fineprint import page_of
from pipeline.quality import measure_quality, working_grey
from pipeline.settings import DecodeSettings, QualitySettings
from pipeline.traces import measure_traces
from store.errors import DecodeError
from store.records import Failure, FailureKind, FileStat, Hashes, Measurement, Picture, Traces

# Raise it when another measurement of the same file is wanted: `reindex` then measures every image again.
MEASURER_VERSION = 7
_COMMON_PIXELS = 2048  # long side below which one more halving no longer saves time
_STRIP = 2  # times as long as wide


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """A file to be measured, and the input size of the embedder that waits for it."""

    path: str
    input_size: int


def measure(
    task: MeasureTask, decode_settings: DecodeSettings, quality_settings: QualitySettings
) -> Measurement | Failure:
    """Measure a file. A file that cannot be measured is a Failure, not an exception."""
    try:
        stat, data = decoding.read_regular(task.path, decode_settings.max_bytes)
    except FileNotFoundError as error:
        return Failure(task.path, FailureKind.VANISHED, error.strerror or "gone", None, None)
    except OSError as error:
        return Failure(task.path, FailureKind.UNREADABLE, error.strerror or "unreadable", None, None)
    except decoding.LimitError as error:
        return Failure(task.path, FailureKind.TOO_LARGE, error.message, None, None)
    except MemoryError:
        return Failure(task.path, FailureKind.TOO_LARGE, "needs too much memory", None, None)
    sha256 = hashing.content_sha256(data)
    try:
        return _measure(data, sha256, stat, task.input_size, decode_settings, quality_settings)
    except decoding.LimitError as error:
        kind, reason = FailureKind.TOO_LARGE, error.message
    except UnsupportedError as error:
        kind, reason = FailureKind.UNREADABLE, error.message
    except DecodeError as error:
        kind, reason = FailureKind.CORRUPT, error.message
    except MemoryError:
        kind, reason = FailureKind.TOO_LARGE, "needs too much memory"
    return Failure(task.path, kind, reason, stat, sha256)


def _measure(
    data: bytes, sha256: bytes, stat: FileStat, input_size: int, decode_settings: DecodeSettings,
    quality_settings: QualitySettings,
) -> Measurement:  # fmt: skip
    decoded = decoding.decode(data, decode_settings)
    rgb = decoded.rgb
    common, extent = previewing.halve_whole(rgb, previewing.extent_of(rgb), _COMMON_PIXELS)
    grey = working_grey(common[: int(extent[1]), : int(extent[0])], quality_settings.working_pixels)
    phash, dhash = hashing.perceptual_hashes(grey)
    preview = previewing.preview(common, decode_settings, extent)
    detail, traces = _closely(decoded)
    height, width = rgb.shape[:2]
    pixels_sha256 = decoding.pixels_sha256(rgb, decoded.unseen)
    return Measurement(
        stat=stat,
        picture=Picture(width, height, decoded.format, pixels_sha256, decoded.metadata_fields),
        quality=measure_quality(rgb, grey, detail),
        hashes=Hashes(sha256, phash, dhash, hashing.is_hashable(grey)),
        preview=preview,
        model_input=remodel(preview, input_size),
        traces=traces,
        page=page_of(_readable(rgb, common), decode_settings.preview_pixels),
    )


def _readable(rgb: Pixels, common: Pixels) -> Pixels:
    """Choose what a page is made of: of a long strip that was halved, nothing would be left to read."""
    return rgb if max(rgb.shape[:2]) > _STRIP * min(rgb.shape[:2]) else common


def _closely(decoded: decoding.Decoded) -> tuple[float, Traces]:
    """Measure what only native size shows: effective resolution, and the traces of what was done to a picture."""
    rgb = decoded.rgb
    if min(rgb.shape[:2]) < MIN_SIDE:
        return detail_of(None, rgb.shape), Traces(b"", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    tiles = textured_tiles(rgb)
    energy = band_energy(tiles)
    return detail_of(energy, rgb.shape), measure_traces(rgb, tiles, energy, decoded.luma_steps)


def remodel(preview: bytes, input_size: int) -> Pixels:
    """Make the embedder's input, uint8 [input_size, input_size, 3], from a stored preview."""
    return previewing.model_input(previewing.decode_preview(preview), input_size)
