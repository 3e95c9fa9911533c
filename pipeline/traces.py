"""What a picture's history left in its pixels: compression, noise, sharpening, lost detail.

None of these numbers says alone whether a picture is good; of two files that show the same, they tell which one was
made from the other (`pipeline.originals`). All are measured on the most textured tiles at native size and cost the same
for any picture.

- JPEG leaves each DCT coefficient of a block on a multiple of its quantisation step. The steps show as a comb in the
  histogram of a coefficient, and stay there when the picture is saved again, finer or in another format (after Fan and
  de Queiroz 2003). So a step seen in the pixels that is coarser than the file's own tells of an earlier life.
- An edge that was sharpened has a dark and a bright rim; how far these overshoot is measured along strong edges.
- Noise is what even the calmest places have (Immerkær 1996).
- A tone curve in eight bits skips levels where it is steep, and few colours skip nearly all (after Stamm and Liu 2010).
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.dct import block_basis
from pipeline.decode import Pixels
from pipeline.descent import sample_blocks
from pipeline.detail import Floats
from pipeline.drawings import measure_flatness
from pipeline.filters import sample_patches
from pipeline.rhythm import measure_rhythm
from store.records import Traces

_BLOCK = 8
# Places of the coefficients looked at, row * 8 + column: the coarse ones, where values are large.
_COEFFICIENTS = (1, 8, 9, 2, 16, 10, 17, 18)
_STANDARD = (11, 12, 12, 10, 14, 14, 13, 16)  # their steps in the standard's own table, for files without one
_LEVELS = 256
_STEPS = np.arange(3, 61)  # finer ones drown in the rounding of RGB
_MIN_COMB = 0.5  # mean cosine of the phase: 1 for a perfect comb, about 0 for none
_MIN_SIGNIFICANCE = 4.0
_MIN_SEEN = 4  # coefficients that must show a comb
_MIN_GAPS = 3  # coefficients that must show a gap
_GAP_COUNT, _GAP_SHARE = 12, 0.3  # how full the multiples beside a gap are, and the gap beside them
_INHERITED = 1.4  # times the file's own step: what is told of an earlier step that was hardly coarser
_EDGE = 40  # grey levels over two pixels
_REACH = 7  # pixels looked at on each side of an edge
_LINES = 12  # every twelfth line is enough
_MIN_EDGES = 20
_MIN_CONTRAST = 20.0  # grey levels between both sides of an edge
_CALM_SHARE = 0.05
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NOISE_GAIN = float(np.sqrt(np.pi / 2) / 6)
_CELL = 16  # pixels
_SAMPLE = 64  # pixels a side, for colour and levels
_MOST_LINES = 64  # of a flat margin; of wider ones the second look tells
_FLAT_LEVELS = 12  # grey levels
_FLAT_SHARE = 0.97
_LEVELS_AROUND, _MOST_ALIKE = 17, 32  # levels; pixels of one level that count
_TINT_LEVELS = 8  # grey levels that share a colour of a tint
_OWN_UNIT = 8.0  # stored units of own colour per level
_TAILS = 0.01  # of the pixels, at either end of a histogram
_OCTAVE = 8.0  # units of a stored spectrum per doubling of energy
_FLOOR = 48.0  # of a stored spectrum: an energy of 1


def measure_traces(rgb: Pixels, tiles: Pixels, energy: Floats, steps: Sequence[int]) -> Traces:
    """Measure an oriented picture, uint8 [h, w, 3], by its tiles and their spectrum (`pipeline.detail`).

    `steps` is the luma quantisation table of a JPEG, 64 numbers row by row, else empty.
    """
    chosen = [steps[place] for place in _COEFFICIENTS] if len(steps) == _BLOCK**2 else []
    tall = tiles.reshape(-1, tiles.shape[2])
    few = np.asarray(cv2.resize(rgb, (_SAMPLE, _SAMPLE), interpolation=cv2.INTER_NEAREST), np.uint8)
    return Traces(
        spectrum=_packed(energy),
        overshoot=_overshoot(tiles),
        noise=_noise(tiles[::2].reshape(-1, tiles.shape[2])),
        clipped=1 - cv2.countNonZero(cv2.inRange(tall, 2, 253)) / tall.size,
        stored_step=sum(chosen) / len(chosen) if chosen else 0.0,
        seen_step=_seen_step(_level_counts(tiles), chosen),
        colour=_colour(few),
        margin=_margin(rgb),
        rhythm=measure_rhythm(rgb),
        blocks=sample_blocks(rgb, steps),
        levels=bytes([round(255 * _missing_levels(few)), min(round(_OWN_UNIT * _own_colour(few)), 255)])
        + measure_flatness(rgb),
        patches=sample_patches(rgb, steps),
    )


def _packed(energy: Floats) -> bytes:
    levels = _FLOOR + _OCTAVE * np.log2(np.maximum(energy, 1e-3))
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8).tobytes()


def octaves(spectrum: bytes) -> Floats:
    """Unpack a stored spectrum: log2 of the whitened energy of each band, finest first, float64 [20]."""
    return (np.frombuffer(spectrum, np.uint8).astype(np.float64) - _FLOOR) / _OCTAVE


def _level_counts(tiles: Pixels) -> NDArray[np.int64]:
    """Count the absolute levels of each chosen coefficient in all blocks: int64 [n, 256]."""
    count, side = tiles.shape[0], tiles.shape[1] // _BLOCK
    blocks = tiles.reshape(count, side, _BLOCK, side, _BLOCK).transpose(0, 1, 3, 2, 4).reshape(-1, _BLOCK**2)
    values = np.abs(blocks.astype(np.float32) @ _basis())
    values = np.minimum(np.rint(values), _LEVELS - 1).astype(np.intp) + np.arange(len(_COEFFICIENTS)) * _LEVELS
    counts = np.bincount(values.ravel(), minlength=_LEVELS * len(_COEFFICIENTS)).reshape(-1, _LEVELS)
    counts[:, -1] = 0
    return counts


def _seen_step(counts: NDArray[np.int64], stored: Sequence[int]) -> float:
    """Return the mean quantisation step that the pixels show, 0 where they show none; `stored` are the file's own."""
    own = sum(stored) / len(stored) if stored else 0.0
    seen = _comb_step(counts, stored or _STANDARD)
    return _INHERITED * own if own and seen < _INHERITED * own and _has_gaps(counts, stored) else seen


def _comb_step(counts: NDArray[np.int64], reference: Sequence[int]) -> float:
    """Find the step by its comb; `reference` gives its shape over the coefficients."""
    comb, reached = _combs()
    numbers = counts.astype(np.float64)  # matrices of whole numbers are multiplied slowly
    total = np.maximum(numbers @ reached, 1)
    score = numbers @ comb / total
    found = (score > _MIN_COMB) & (score * np.sqrt(total) > _MIN_SIGNIFICANCE)
    seen = found.any(axis=1)
    if seen.sum() < _MIN_SEEN:
        return 0.0
    # Divisors of a step show the same comb: the coarsest that does is the step.
    coarsest = _STEPS[len(_STEPS) - 1 - found[:, ::-1].argmax(axis=1)]
    wanted = np.array(reference, np.float64)
    return float(np.median((coarsest / wanted)[seen]) * wanted.mean())


def _has_gaps(counts: NDArray[np.int64], stored: Sequence[int]) -> bool:
    """Tell whether multiples of the file's own steps are missing: left empty by a slightly coarser step before."""
    gaps = 0
    for levels, step in zip(counts, stored, strict=True):
        if step < 2:
            continue
        multiples = np.rint(np.arange(_LEVELS) / step).astype(np.intp)
        found = np.bincount(multiples, levels, 9)[:9]
        least = np.minimum(found[:-2], found[2:])
        gaps += bool(((least >= _GAP_COUNT) & (found[1:-1] < _GAP_SHARE * least)).any())
    return gaps >= _MIN_GAPS


@cache
def _basis() -> NDArray[np.float32]:
    """Return the DCT of a block for the chosen coefficients: float32 [64, n]."""
    return np.ascontiguousarray(block_basis()[:, _COEFFICIENTS], np.float32)


@cache
def _combs() -> tuple[Floats, Floats]:
    """Return, per level and step, the cosine of the level's phase, and which levels count: both [256, steps]."""
    levels = np.arange(_LEVELS)[:, None]
    reached = (levels >= np.maximum(2, 0.5 * _STEPS)).astype(np.float64)  # what was quantised to 0 fits any step
    return np.cos(2 * np.pi * levels / _STEPS) * reached, reached


def _overshoot(tiles: Pixels) -> float:
    """Return by how much of their height edges overshoot on both sides, the median; 0 where there are few edges."""
    rows = tiles[:, ::_LINES].reshape(-1, tiles.shape[2])
    columns = tiles[:, :, ::_LINES].transpose(0, 2, 1).reshape(-1, tiles.shape[1])
    found = np.concatenate([_overshoots(np.ascontiguousarray(lines, np.int16)) for lines in (rows, columns)])
    return float(np.median(found)) if len(found) >= _MIN_EDGES else 0.0


def _overshoots(lines: NDArray[np.int16]) -> NDArray[np.float32]:
    slope = lines[:, 2:] - lines[:, :-2]
    steep = np.abs(slope)
    near = steep[:, _REACH - 1 : -_REACH + 1]
    peak = (near > _EDGE) & (near >= steep[:, _REACH - 2 : -_REACH]) & (near > steep[:, _REACH : -_REACH + 2])
    line, place = np.nonzero(peak)
    if not len(line):
        return np.zeros(0, np.float32)
    place = place + _REACH
    around = lines[line[:, None], place[:, None] + np.arange(-_REACH, _REACH + 1)].astype(np.float32)
    around *= np.sign(slope[line, place - 1]).astype(np.float32)[:, None]
    low, high = _middle(around[:, :4]), _middle(around[:, 11:])
    contrast = high - low
    rims = (around[:, 8:11].max(axis=1) - high + low - around[:, 4:7].min(axis=1)) / 2
    return np.asarray((rims / np.maximum(contrast, 1))[contrast > _MIN_CONTRAST], np.float32)


def _middle(four: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the medians of rows of four."""
    return np.asarray((four.sum(axis=1) - four.max(axis=1) - four.min(axis=1)) / 2, np.float32)


def _noise(tall: Pixels) -> float:
    """Return the deviation, in grey levels, that the calmest cells have."""
    bent = np.abs(cv2.filter2D(tall, cv2.CV_16S, _NOISE_KERNEL))
    cells = cv2.resize(bent, (tall.shape[1] // _CELL, tall.shape[0] // _CELL), interpolation=cv2.INTER_AREA)
    ordered = np.sort(np.asarray(cells).ravel())
    return float(ordered[int(_CALM_SHARE * len(ordered))]) * _NOISE_GAIN


def _colour(few: Pixels) -> float:
    """Return the mean spread between the channels, in levels: 0 for grey."""
    red, green, blue = cv2.split(cv2.blur(few, (7, 7)))  # noise has colours too
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return float(cv2.mean(spread)[0])


def _own_colour(few: Pixels) -> float:
    """Return the mean spread between the channels, in levels, that no tint explains: one colour for each grey."""
    pixels = cv2.blur(few, (7, 7)).reshape(-1, 3).astype(np.float32)
    grey = (pixels @ np.array([1, 2, 1], np.float32) / (4 * _TINT_LEVELS)).astype(np.intp)
    counts = np.maximum(np.bincount(grey), 1)
    off = [pixels[:, channel] - pixels[:, 1] for channel in (0, 2)]
    red, blue = (each - (np.bincount(grey, each) / counts)[grey] for each in off)
    return float((np.maximum(np.maximum(red, blue), 0) - np.minimum(np.minimum(red, blue), 0)).mean())


def own_colour(traces: Traces) -> float | None:
    """Return the mean spread between the channels that no tint explains, in levels; None where nobody looked."""
    return traces.levels[1] / _OWN_UNIT if len(traces.levels) > 1 else None


def _missing_levels(few: Pixels) -> float:
    """Return the share of the levels in use that no pixel of a sample has, beyond what chance leaves out."""
    values = few.reshape(-1, 3) + np.arange(3) * _LEVELS
    counts = np.bincount(values.ravel(), minlength=3 * _LEVELS).reshape(3, _LEVELS)
    below = counts.cumsum(axis=1)
    used = (below > _TAILS * below[0, -1]) & (below < (1 - _TAILS) * below[0, -1])
    used[:, [0, -1]] = False  # what is burnt out says nothing
    capped = np.minimum(counts, _MOST_ALIKE).astype(np.float32)
    common = cv2.blur(capped, (_LEVELS_AROUND, 1), borderType=cv2.BORDER_CONSTANT)
    missing = float(((counts == 0) - np.exp(-common))[used].sum())
    return min(max(missing / max(int(used.sum()), 1), 0.0), 1.0)


def _margin(rgb: Pixels) -> float:
    """Return the share of the picture in a margin of one colour, on two opposite sides or on all."""
    height, width = rgb.shape[:2]
    top, bottom, left, right = (
        _flat_lines(lines) for lines in (rgb, rgb[::-1], rgb.swapaxes(0, 1), rgb[:, ::-1].swapaxes(0, 1))
    )
    rows = top + bottom if min(top, bottom) else 0
    columns = left + right if min(left, right) else 0
    return float(1 - max(height - rows, 0) * max(width - columns, 0) / (height * width))


def _flat_lines(lines: Pixels) -> int:
    """Count the first lines, [n, length, 3], that are of the first one's colour, up to a limit."""
    step = max(1, lines.shape[1] // _SAMPLE)
    line = np.sort(lines[0, ::step], axis=0)
    colour = line[len(line) // 2].astype(np.int16)
    most = min(_MOST_LINES, len(lines) // 4)
    first = 0
    while first < most and _is_flat(lines[first, ::step], colour):
        first += 1
    return first


def _is_flat(line: Pixels, colour: NDArray[np.int16]) -> bool:
    return bool((np.abs(line - colour).max(axis=1) <= _FLAT_LEVELS).mean() >= _FLAT_SHARE)
