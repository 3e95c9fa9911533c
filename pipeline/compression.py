"""What files tell that their previews do not show: how large a picture is, and what it was compressed by.

A coefficient of a JPEG errs by up to half a quantisation step, and evenly so: a twelfth of the step squared, which
shrinking to a preview averages out. And what compression did to one of two pictures can be done to the other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.alignment import Float, Grey
from pipeline.descent import Descent, find_descent, own_table
from pipeline.recoding import WITHOUT_STEPS, save_again
from pipeline.siblings import Siblings, find_by_previews, find_by_samples
from pipeline.tones import Colours, Tones
from store.records import Observation, Traces

COARSER = 2.0  # times the quantisation step of the other
MAX_NOISE = 12.5  # grey levels of compression that are believed: JPEG 15, where the preview is as large as the file
MIN_STEP = 8.0  # in pixels of a preview: finer compression hides nothing
MAX_SIDE = 1600  # pixels: the preview of a larger picture shows next to nothing of its compression
FEW_LEVELS = 0.2  # share of grey levels that are missing: of photographs hardly ever above 0.04
WRITTEN = 8.0  # grey levels beyond what saving explains; a change of colours moves grey coefficients by up to 7
STANDARD_STEP = 12.75  # of luma in the standard's own table, which is that of quality 50


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file tells of its own picture."""

    width: int  # pixels, as it is to be seen
    height: int
    step: float = 0.0  # mean quantisation step of luma, the coarsest that the pixels went through; 0: none known
    few_colours: bool = False
    traces: Traces | None = None
    encoding: str = ""  # "JPEG", "WEBP", …

    @classmethod
    def of(cls, seen: Observation) -> "FileFacts":
        """Take the facts from what was measured."""
        picture, traces = seen.picture, seen.traces
        if traces is None:
            return cls(picture.width, picture.height, encoding=picture.encoding)
        few = bool(traces.levels) and traces.levels[0] > 255 * FEW_LEVELS
        step = max(traces.stored_step, traces.seen_step)
        return cls(picture.width, picture.height, step, few, traces, picture.encoding)

    def scale(self, preview: Grey) -> float:
        """Tell how many pixels of its preview a pixel of the file is wide, at most 1."""
        return float(max(preview.shape)) / max(self.width, self.height)

    def grid(self, preview: Grey) -> tuple[float, float]:
        """Tell how many pixels of its preview lie in one of the file, across and down."""
        return preview.shape[1] / self.width, preview.shape[0] / self.height

    def saved_again(self, colours: Colours) -> Colours:
        """Compress the preview [h, w, 3], grey, Cr and Cb, of a picture of the same size as this file was compressed.

        Where the preview is smaller it is enlarged for that: the coarse coefficients, which matter, come out nearly
        as they were. A file's own tables are told by one number, so those of the standard stand for them.
        """
        factor = self.step / STANDARD_STEP
        quality = max(round(50 / factor if factor > 1 else 100 - 50 * factor), 1)
        return save_again(colours, "JPEG", quality, (self.width, self.height))


@dataclass(frozen=True)
class Known:
    """What two files, of pictures `a` and `b`, tell about whether one was made from the other.

    `grids` are how many pixels of each preview lie in one of its file, across and down, where one of the two may be
    a plain cut of the other: in no direction the larger one.
    """

    noise: float = 0.0  # that compression put on the preview of one of the two alone, in grey levels of a pixel
    coarser: tuple[int, FileFacts] | None = None  # which of the two that is, 0 or 1, where both are of one size
    few_colours: int | None = None  # which of the two was brought to few colours, 0 or 1
    grids: tuple[tuple[float, float], tuple[float, float]] | None = None  # see above
    traces: tuple[Traces, Traces] | None = None  # of both, where both are of one size
    untold: tuple[tuple[int, FileFacts], ...] = ()  # which of the two codecs saved that tell nothing of their steps
    two_sizes: bool = False  # whether the files have not the same sides, however they are turned
    whole: bool = False  # whether both previews have all pixels of their files

    def recoded(self, a: Grey, b: Grey) -> tuple[int, FileFacts] | None:
        """Tell which of two such a codec saved last: of two the one that shows less detail, whichever comes first.

        `a` and `b` are the greys of both previews.
        """
        if len(self.untold) < 2:
            return self.untold[0] if self.untold else None
        greys = a, b
        return min(self.untold, key=lambda each: (_detail_of(greys[each[0]]), each[1].encoding, greys[each[0]].mean()))

    @cached_property
    def _descent(self) -> Descent:
        return Descent() if self.traces is None else find_descent(*self.traces)

    @property
    def _beyond(self) -> float | None:
        """Give `Descent.beyond` where one of two is a JPEG that was saved from the other, else None.

        What other codecs do to a block is not told by a table.
        """
        found = self._descent
        told = found.original > 0 and self.traces is not None and self.traces[2 - found.original].stored_step > 0
        return found.beyond if told else None

    @property
    def unlike(self) -> bool:
        """Tell whether nearly all blocks of two JPEGs differ by more than saving, and not as sharpness does."""
        return all(self._descent.rewritten) and not self._descent.richer

    @property
    def children(self) -> list[tuple[int, Float]]:
        """Tell which of two, 0 or 1, may be a JPEG saved from the other, and by which luma table, [64].

        Only of previews that have all pixels of their files.
        """
        tables = [own_table(each) for each in self.traces or ()] if self.whole else []
        return [(place, np.asarray(table, np.float32)) for place, table in enumerate(tables) if table.any()]

    @cached_property
    def _by_samples(self) -> Siblings | None:
        """Give what the kept blocks of two JPEGs of one size tell of whether one picture was saved as both."""
        if self.traces is None or not all(each.stored_step for each in self.traces):
            return None
        return find_by_samples(*self.traces)

    def siblings(self, a: Tones, b: Tones) -> list[Siblings]:
        """Give what the blocks of two JPEGs of one size tell of whether they were saved from one picture.

        `a` and `b` are the tones of their previews, of which all blocks are asked where they have all pixels.
        """
        found = self._by_samples, find_by_previews(a, b, self.children)
        return [each for each in found if each is not None]

    @property
    def same_before(self) -> bool:
        """Tell whether all blocks that were kept of two JPEGs may be saves of one picture."""
        return self._by_samples is not None and self._by_samples.beyond <= 0

    @property
    def saved(self) -> bool:
        """Tell whether one was merely saved from the other, in all blocks that were kept of them."""
        return self._beyond is not None and self._beyond <= 0

    @property
    def written_over(self) -> bool:
        """Tell whether they show that, but for some blocks, which saving does not explain."""
        return self._beyond is not None and self._beyond > WRITTEN

    @classmethod
    def of(cls, ours: FileFacts, theirs: FileFacts, a: Grey, b: Grey) -> "Known":
        """Compare what two files tell; the greys are those of their previews.

        A camera saves all its pictures alike, so what both have tells nothing: only where one was saved with steps
        twice as coarse as the other was it saved again, and is not another exposure. And all its pictures have one
        size: to keep the pixels and lose some at the rim is what a program does.
        """
        steps = ours.step * ours.scale(a), theirs.step * theirs.scale(b)
        least, most = sorted(steps)
        noise = min(most / 12**0.5, MAX_NOISE) if most >= COARSER * least else 0.0
        sizes = (ours.width, ours.height), (theirs.width, theirs.height)
        place = steps.index(most)
        again = noise > 0 and most >= MIN_STEP and sizes[0] == sizes[1] and max(sizes[0]) <= MAX_SIDE
        cut = sizes[0] != sizes[1] and any(
            all(part <= whole for part, whole in zip(*pair, strict=True)) for pair in (sizes, sizes[::-1])
        )
        return cls(
            noise,
            (place, (ours, theirs)[place]) if again else None,
            int(theirs.few_colours) if ours.few_colours is not theirs.few_colours else None,
            (ours.grid(a), theirs.grid(b)) if cut else None,
            (ours.traces, theirs.traces) if ours.traces and theirs.traces and sizes[0] == sizes[1] else None,
            tuple((number, file) for number, file in enumerate((ours, theirs)) if file.encoding in WITHOUT_STEPS),
            sorted(sizes[0]) != sorted(sizes[1]),
            sizes == (a.shape[::-1], b.shape[::-1]),
        )


def _detail_of(grey: Grey) -> float:
    """Measure the mean step from pixel to pixel, across and down."""
    return sum(float(np.abs(np.diff(grey.astype(np.int16), axis=axis)).sum()) for axis in (0, 1)) / grey.size
