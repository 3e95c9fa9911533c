"""Of two files that show the same picture, which one is the original?

A copy is made from its original by taking something away or putting something on: it is cut, reduced, blurred,
compressed once more, enlarged, sharpened, framed, written over. Each leaves its own mark in the pair: in what lies
where (`pipeline.lineage`), and in the ratio of what both have at each frequency (`pipeline.traces`). The first mark
that is clear decides; without one, nobody is preferred.

Pure functions of stored facts, and antisymmetric: `find_original(a, b, …)` is the reverse of `find_original(b, a, …)`.
"""

from dataclasses import replace

import numpy as np

from pipeline.chains import (
    EQUAL_STEPS,
    LOUD,
    LOUDEST,
    SURE_FOURS,
    find_direct,
    has_inherited,
    is_compression_noise,
    is_far_finer,
    is_finest_alone,
    mean_step,
)
from pipeline.curves import find_retoned
from pipeline.descent import Descent, find_descent
from pipeline.detail import WHITENING, Floats
from pipeline.drawings import find_drawn
from pipeline.enlarging import HARDLY_LARGER, find_repeated, is_enlarged
from pipeline.filters import Cause, Fits, find_cause
from pipeline.frames import HAS_BORDER, SAME_SIZE, by_frames, by_rims, density, exchanged, is_bordered, same_size
from pipeline.gaps import FILLED, LACKS_TONES, by_tones
from pipeline.interpolating import compare_sizes
from pipeline.recompressed import (
    LOSSLESS,
    OTHER_CODEC,
    Preference,
    by_compression,
    by_packing,
    find_exact,
    find_spared,
)
from pipeline.rhythm import compare_rhythms
from pipeline.sharpening import FINER, FINEST, MIDDLE, NEXT, TOP, UPPER, is_contrary, is_sharpened
from pipeline.tints import MANY_TONES, find_coloured
from pipeline.traces import octaves
from pipeline.unrelated import compare_sharpness, is_unrelated
from store.records import Lineage, Observation, Relation, Traces

__all__ = ["Preference", "find_original"]

_RESOLVES = 1.3  # times the tiny one's pixels
_FOLLOWS, _UNLIKE = 0.25, 0.95  # of a difference: what a filter leaves at most; what is left of the work of no filter
_NO_FILTER = 0.6  # of a difference: compression leaves as much
_ROUNDING = 2.25 * 0.7**2 * WHITENING  # energy that rounding and fine compression leave
_MIN_DETAIL = 0.3  # octaves of energy in the finest octave
_FINE_LOSS = 0.15  # octaves, for the one that is compressed less
_STEEP = 0.08  # of the gain in the finest octave: blur takes more than this from the middle ones
_NOISY = 1.2  # grey levels
_LEAST_ADDED = 0.3  # octaves: nobody adds noise that is not seen
_NOISIER = 1.7  # times
_LOST_NOISE = (0.6, 0.2)  # of a quantisation step: what compression may take away, and with much detail
_WHITE = -1.2  # octaves from upper to top bands: noise has as much there, detail has less
_OWN_RHYTHM = 1.7  # octaves: a rhythm that only one of two has
_LEVEL = 1.5  # octaves between the finest and the middle, at most
_EVEN = -0.9  # octaves from the next to the top bands: detail falls off faster
_TOO_BRIEF, _HARDLY_SHORTER = 200.0, 80.0  # natural logarithms
_FILTERED = 0.5  # how much finer or coarser than before: compression by itself takes less
# Octaves by which a drawing that is merely saved differs at most; one that is brightened, sharpened or blurred does by
# 0.2 in the middle or 0.4 at the finest.
_MERELY_SAVED = ((FINEST, 0.3), (MIDDLE, 0.15))
_REDUCED_AND_ENLARGED = "the other was reduced and enlarged again"
_OTHER_TONES = "the other has other tones"
_CAMERA_LOST = "the other lost what its camera wrote into it"
_ALL_OVER = (0.3, 0.1)  # octaves: more, in most places, is nothing put over a part; where a filter was told, too
_DISTURBED = "the other is no longer as it was drawn: its lines have rims"
_LOST_DETAIL = "the other lost detail"
_NOISE_ADDED = "noise was added to the other"
_CAUSED = {
    1: "the other is sharpened",
    -1: _LOST_DETAIL,
    0: "the other follows from it, and not the other way round",
}
_ENLARGES = "the other is enlarged: it has more pixels and no more detail"
_CAMERA_FIELDS = 8  # make, model, time, exposure, …: a person who tags pictures writes six
_TAGGED_FORMATS = frozenset({"TIFF"})  # made of tags, whatever they say
_LOSSY = frozenset({"WEBP", "AVIF", "GIF"})


def find_original(ours: Observation, theirs: Observation, lineage: Lineage) -> Preference:
    """Tell which of two is the original; `lineage` has `ours` first."""
    if ours.picture.pixels_sha256 == theirs.picture.pixels_sha256:
        return by_packing(ours, theirs)
    if lineage.relation is Relation.MARKED:
        return _by_mark(ours, theirs, lineage)
    if lineage.whole:
        # A program that puts a border around a picture does not invent a camera: a scan that was trimmed had its own.
        scanned = _by_camera(ours, theirs) if lineage.relation is Relation.FRAMED else Preference()
        return scanned if scanned.original else by_frames(ours, theirs, lineage)
    return _by_pictures(ours, theirs, lineage) if lineage.relation is Relation.SAME else Preference()


def _by_mark(ours: Observation, theirs: Observation, lineage: Lineage) -> Preference:
    """Compare two of which one seems to be written over in a place."""
    descent = _descent(ours, theirs, lineage)
    cause = Cause() if descent.original else _cause(ours, theirs)
    proven = descent.original or (0 if abs(cause.finer) > _FILTERED else cause.original)
    if proven:
        return Preference(proven, "something was put over the other")
    found = _by_pictures(ours, theirs, replace(lineage, relation=Relation.SAME, whole=0), cause)
    filtered = cause.original > 0 or descent.richer > 0
    if _sharper(ours, theirs) > _ALL_OVER[filtered] or _is_remade(lineage.whole, descent, cause.fits):
        return found  # they differ all over: what differs most in one place is no addition
    # Enlarging changes the rims of things as well, and is known better by what it does to the whole.
    if found.reason in (_ENLARGES, _REDUCED_AND_ENLARGED, LACKS_TONES, FILLED, _OTHER_TONES, _CAMERA_LOST):
        return found
    return by_frames(ours, theirs, lineage) if lineage.whole else Preference()


def _by_pictures(ours: Observation, theirs: Observation, lineage: Lineage, cause: Cause | None = None) -> Preference:
    """Compare two that show the same, in whatever size; `cause` where it is known already."""
    camera = _by_camera(ours, theirs)
    if camera.original:
        return camera
    ratio = density(ours, theirs, lineage)
    drawn = find_drawn(ours, theirs, ratio)
    if drawn:
        return Preference(drawn, _DISTURBED)
    if ours.traces is None or theirs.traces is None or not (ours.traces.spectrum and theirs.traces.spectrum):
        return _by_size(ours, theirs, ratio)
    if ratio < 1:
        return _by_pictures(theirs, ours, exchanged(lineage), cause and cause.turned()).turned()
    if is_bordered(theirs.traces, ours.traces, ratio):
        return Preference(1, HAS_BORDER)
    cut = by_rims(ours, theirs, lineage) if lineage.relation is Relation.SAME else Preference()
    if cut.original:
        return cut
    if ratio > SAME_SIZE:
        if is_enlarged(theirs.traces, ours.traces, ratio, compare_sizes(theirs, ours)):
            return Preference(1, _ENLARGES)
        return Preference(2, "the other is reduced")
    return _by_pixels(ours, theirs, _descent(ours, theirs, lineage), cause)


def _by_size(ours: Observation, theirs: Observation, ratio: float) -> Preference:
    """Compare a picture with one too tiny to have a spectrum: whatever resolves more was not enlarged from it."""
    if ratio < 1:
        return _by_size(theirs, ours, 1 / ratio).turned()
    tiny = ours.picture.width * ours.picture.height / 1e6
    if ours.traces is None or theirs.traces is None or not theirs.traces.spectrum or ratio < HARDLY_LARGER:
        return Preference()
    return Preference(2, "the other is reduced") if theirs.quality.detail > _RESOLVES * tiny else Preference()


def _is_remade(whole: int, descent: Descent, fits: Fits | None) -> bool:
    """Tell whether the one that seems to be written over was changed all over, or filtered into the other."""
    if not whole or descent.rewritten[2 - whole]:
        return bool(whole)
    if fits is None:
        return False
    unmarked, marked = fits.left if whole == 2 else fits.left[::-1]
    return unmarked < _FOLLOWS and marked < _UNLIKE


def _descent(ours: Observation, theirs: Observation, lineage: Lineage) -> Descent:
    """Ask what rounding tells of two pictures that lie on each other pixel by pixel."""
    if not same_size(ours, theirs) or ours.traces is None or theirs.traces is None:
        return Descent()
    return find_descent(ours.traces, theirs.traces, marked=lineage.relation is Relation.MARKED)


def _cause(ours: Observation, theirs: Observation) -> Cause:
    """Ask whether a filter or a tone curve made one of two from the other, where they lie on each other."""
    if not same_size(ours, theirs) or ours.traces is None or theirs.traces is None:
        return Cause()
    found = find_cause(ours.traces, theirs.traces)
    if not found.original or found.fits is None:
        return found
    original, copy = (ours, theirs) if found.original == 1 else (theirs, ours)
    told, least = abs(found.fits.shorter), 0.0
    if original.picture.encoding in _LOSSY and found.finer <= 0:
        least = _TOO_BRIEF  # their steps are not known, and what they smooth is described too briefly
    elif is_far_finer(copy.traces, original.traces):
        least = _HARDLY_SHORTER  # hardly anybody saves a copy so
    return found if told > least else Cause(fits=found.fits)


def _sharper(ours: Observation, theirs: Observation) -> float:
    """Return by how much one of two that lie on each other is sharper in most places: octaves."""
    if not same_size(ours, theirs) or ours.traces is None or theirs.traces is None:
        return 0.0
    return abs(compare_sharpness(ours.traces, theirs.traces))


def _by_camera(ours: Observation, theirs: Observation) -> Preference:
    """Prefer the one that carries what a camera or a scanner wrote, where the other carries nothing."""
    camera = [_has_camera_data(seen) for seen in (ours, theirs)]
    if camera[0] != camera[1] and 0 in (ours.picture.metadata_fields, theirs.picture.metadata_fields):
        return Preference(1 if camera[0] else 2, _CAMERA_LOST)
    return Preference()


def _has_camera_data(seen: Observation) -> bool:
    """Tell whether a file carries what cameras write: programs that save it again drop that, and people add less."""
    return seen.picture.encoding not in _TAGGED_FORMATS and seen.picture.metadata_fields >= _CAMERA_FIELDS


def _by_pixels(ours: Observation, theirs: Observation, descent: Descent, cause: Cause | None) -> Preference:
    """Compare two of one size and frame."""
    first, second = ours.traces, theirs.traces
    if first is None or second is None:
        return Preference()
    if descent.original:
        return Preference(descent.original, "the other was saved from it: its rounding shows")
    coloured = find_coloured(first, second)
    if coloured:
        return Preference(coloured, "the other lost its colours")
    energies = [np.exp2(octaves(traces.spectrum)) for traces in (first, second)]
    gain = np.log2((energies[0] + _ROUNDING) / (energies[1] + _ROUNDING))
    drawn = min(ours.quality.entropy, theirs.quality.entropy) < MANY_TONES  # what is flat has no steps by itself
    # The rims that compression draws around lines have more tones and finer frequencies than the lines, and cost bytes.
    merely = all(abs(float(gain[bands].mean())) < most for bands, most in _MERELY_SAVED)
    exact = find_exact(ours, theirs) if drawn and merely else 0
    if exact and not descent.rewritten[2 - exact]:
        return Preference(exact, "the other is compressed: its lines have rims")
    cause = cause or _cause(ours, theirs)
    toned = by_tones(ours, theirs, cause)
    if toned.original:
        return toned
    spared = find_spared(ours, theirs)
    if spared and cause.original in (0, spared):
        return Preference(spared, "the other is compressed to next to nothing")
    repeated = find_repeated(first, second, drawn=drawn)
    if repeated:
        return Preference(3 - repeated, _REDUCED_AND_ENLARGED)
    if cause.original and not is_contrary(cause, gain, first, second):
        return Preference(cause.original, _CAUSED[int(np.sign(cause.finer))])
    retoned = 0 if drawn else find_retoned(ours, theirs, gain, cause)
    if retoned:
        return Preference(retoned, _OTHER_TONES)
    direct = find_direct(ours, theirs, SURE_FOURS) if abs(float(gain[FINEST].mean())) < LOUD else 0
    if direct:
        return Preference(direct, OTHER_CODEC)
    surplus = (energies[0] - energies[1]) / WHITENING
    if first.rhythm and second.rhythm:
        again = _by_rhythm(first, second, gain, surplus)
        if again:
            return Preference(again, _REDUCED_AND_ENLARGED)
    if is_finest_alone(float(gain[FINEST].mean()), float(gain[FINER].mean()), first, second):
        return by_compression(ours, theirs, gain, descent)
    found = _by_fine_detail(ours, theirs, gain, surplus, descent, cause.fits)
    return found if found.original else by_compression(ours, theirs, gain, descent)


def _by_rhythm(first: Traces, second: Traces, gain: Floats, surplus: Floats) -> int:
    """Tell which of two, 1 or 2, was not reduced and enlarged again as the other was, by its rhythm; else 0."""
    rhythm, finest = compare_rhythms(first.rhythm, second.rhythm), float(gain[FINEST].mean())
    # A picture that was enlarged again has less detail; where pixels were doubled, an octave below the finest.
    lost = finest if rhythm * finest < 0 else float(gain[FINER].mean())
    drowned = _is_level(surplus if lost > 0 else -surplus)  # by noise, which is no detail
    if abs(rhythm) > _OWN_RHYTHM and rhythm * lost < 0 and abs(lost) > _MIN_DETAIL and not drowned:
        return 1 if lost > 0 else 2
    return 0


def _by_fine_detail(
    ours: Observation, theirs: Observation, gain: Floats, surplus: Floats, descent: Descent, fits: Fits | None
) -> Preference:
    """Tell noise, sharpening and loss of detail apart."""
    first, second = ours.traces, theirs.traces
    if first is None or second is None:
        return Preference()
    stored = max(first.stored_step, second.stored_step) > 0
    saved_only = stored and min(mean_step(first), mean_step(second)) > 0 and not all(descent.altered)
    if descent.compared and not saved_only:
        found = _by_blocks(ours, theirs, gain, surplus, descent, fits)
    else:
        found = _by_noise(gain, surplus, first, second)
        found = found if found.original else _by_detail(gain, surplus, ours, theirs, fits)
    original = (ours, theirs)[found.original - 1]
    if found.original and found.reason == _NOISE_ADDED and original.picture.encoding in _LOSSY:
        return Preference()  # these codecs smooth away what cameras see
    filtered = fits is None or fits.left[found.original - 1] <= _NO_FILTER
    if found.reason == _LOST_DETAIL and not filtered and abs(float(gain[FINEST].mean())) < LOUDEST:
        compressed = by_compression(ours, theirs, gain, descent)
        found = compressed if compressed.original else found
    return found


def _by_blocks(
    ours: Observation, theirs: Observation, gain: Floats, surplus: Floats, descent: Descent, fits: Fits | None
) -> Preference:
    """Tell noise, sharpening and loss apart by what the same blocks of both hold."""
    if ours.traces is None or theirs.traces is None:
        return Preference()
    finest = float(gain[FINEST].mean())
    if is_compression_noise(finest, ours.traces, theirs.traces):
        return Preference()
    if descent.richer:
        return _by_gain(gain, ours, theirs, descent.richer, fits)
    if descent.noisier:
        other, excess = (theirs, surplus) if descent.noisier == 1 else (ours, -surplus)
        noisy, clean = (ours.traces, theirs.traces) if descent.noisier == 1 else (theirs.traces, ours.traces)
        whole = descent.altered[2 - descent.noisier] or other.picture.encoding in LOSSLESS  # rounding took nothing
        adds = (finest if descent.noisier == 1 else -finest) > _LEAST_ADDED
        if whole and adds and (abs(finest) < LOUD or _is_even(excess)) and is_unrelated(noisy, clean):
            return Preference(3 - descent.noisier, _NOISE_ADDED)
    louder = 0 if finest == 0 else 1 if finest > 0 else 2
    more, excess = (ours, surplus) if finest > 0 else (theirs, -surplus)
    exact = more.picture.encoding in LOSSLESS or more.picture.encoding == "JPEG"  # others leave marks of their own
    rough, smooth = (ours.traces, theirs.traces) if finest > 0 else (theirs.traces, ours.traces)
    told = abs(finest) >= (_MIN_DETAIL if exact else LOUD)
    if told and not (_is_even(excess) and is_unrelated(rough, smooth)):
        return _by_gain(gain, ours, theirs, louder, fits)
    return _by_noise(gain, surplus, ours.traces, theirs.traces)


def _is_even(excess: Floats) -> bool:
    """Tell noise by its finest frequencies: detail falls off towards them."""
    return bool(np.log2(max(excess[TOP].mean(), 0.01) / max(excess[NEXT].mean(), 0.01)) > _EVEN)


def _by_gain(gain: Floats, ours: Observation, theirs: Observation, richer: int, fits: Fits | None) -> Preference:
    """Tell whether the richer one was sharpened or the other lost detail."""
    if richer == 2:
        return _by_gain(-gain, theirs, ours, 1, fits and fits.turned()).turned()
    if ours.traces is None or theirs.traces is None:
        return Preference()
    if is_sharpened(gain, ours.traces, theirs.traces, fits):
        return Preference(2, "the other is sharpened: its edges overshoot")
    return Preference(1, _LOST_DETAIL)


def _is_level(surplus: Floats) -> bool:
    """Tell noise by its middle frequencies: it is as strong there as at the finest; enlarging leaves those alone."""
    return bool(abs(np.log2(max(surplus[TOP].mean(), 0.01) / max(surplus[MIDDLE].mean(), 0.01))) < _LEVEL)


def _is_white(surplus: Floats) -> bool:
    """Tell noise, of a camera or of compression, from detail: it is as strong at all frequencies."""
    return bool(np.log2(max(surplus[TOP].mean(), 0.01) / max(surplus[UPPER].mean(), 0.01)) > _WHITE)


def _by_noise(gain: Floats, surplus: Floats, first: Traces, second: Traces) -> Preference:
    """Find noise that was added: even calm places have it, and compression has not just taken it from the other."""
    if first.noise < second.noise:
        return _by_noise(-gain, -surplus, second, first).turned()
    if first.noise < max(_NOISY, _NOISIER * second.noise) or not _is_white(surplus):
        return Preference()
    coarser = second.stored_step > EQUAL_STEPS * first.stored_step > 0 and not has_inherited(first)
    if coarser and first.noise < second.stored_step:
        return Preference()  # the finer compression keeps what the camera saw, its noise too
    finest = float(gain[FINEST].mean())
    if first.noise < _LOST_NOISE[finest >= LOUD] * mean_step(second) or not is_unrelated(first, second):
        return Preference()
    return Preference(2, _NOISE_ADDED)


def _by_detail(gain: Floats, surplus: Floats, ours: Observation, theirs: Observation, fits: Fits | None) -> Preference:
    """Tell what raised or lowered the finest octave: sharpening or blur."""
    finest = float(gain[FINEST].mean())
    if finest < 0:
        return _by_detail(-gain, -surplus, theirs, ours, fits and fits.turned()).turned()
    if ours.traces is None or theirs.traces is None:
        return Preference()
    steps = mean_step(ours.traces), mean_step(theirs.traces)
    if finest < (_FINE_LOSS if steps[0] > steps[1] else _MIN_DETAIL):
        return Preference()
    rough = steps[0] > EQUAL_STEPS * steps[1] and abs(float(gain[MIDDLE].mean())) < _STEEP * finest
    if finest < LOUD and (rough or _is_white(surplus)):
        return Preference()  # what a coarser compression adds, noise and blocks, is no detail
    return _by_gain(gain, ours, theirs, 1, fits)
