"""Second looks taken ahead of the walk, in worker processes.

The walk asks for one pair after the other, and among look-alikes that is most of the work. What it will ask for is
known beforehand, and a look depends on stored facts alone: so pairs are looked at on all cores, and recalled
when the walk asks. It looks for itself at those that are missing.
"""

from collections.abc import Callable, Iterable, Sequence

from pipeline.knowledge import Knowledge
from pipeline.tasks import LookTask
from store.errors import StateError
from store.records import Level, MatchKind, StoredLook

_FEW = 3  # pairs: so many are looked at sooner than sent away
_PAIRS = 4  # of a task

Pair = tuple[int, int]
Ask = Callable[[Sequence[LookTask]], Sequence[object]]  # one answer for each task: that of `look`, or a failure


def look_ahead(knowledge: Knowledge, arrived: Iterable[int], ask: Ask) -> None:
    """Look at images that arrived beside the keepers near them, where there are several, and remember what was seen.

    At first only beside the keeper most like each: what is its copy need not be compared with the others. Nothing is
    remembered of a copy. The processes that look meet hostile bytes, too, and what one of them says shall remove no
    file: the walk looks at such a pair itself.
    """
    near = ((image_id, _keepers_near(knowledge, image_id)) for image_id in arrived if knowledge.in_play(image_id))
    wanted = {image_id: keepers for image_id, keepers in near if len(keepers) > 1}
    if sum(map(len, wanted.values())) <= _FEW:
        return
    firsts = [(image_id, keepers[0]) for image_id, keepers in wanted.items()]
    copies = {pair[0] for pair, look in _look_at(knowledge, firsts, ask) if look.kind is MatchKind.COPY}
    others = {image_id: keepers[1:] for image_id, keepers in wanted.items() if image_id not in copies}
    rest = [(image_id, other) for image_id, keepers in others.items() for other in keepers]
    # One keeper after the other, each beside all that arrived: those few are what a process keeps at hand.
    _look_at(knowledge, sorted(rest, key=lambda pair: pair[::-1]), ask)


def _keepers_near(knowledge: Knowledge, image_id: int) -> list[int]:
    """List the keepers that an image was not looked at beside yet, the most similar one first."""
    near = knowledge.matcher.near(image_id)
    keepers = near[knowledge.standings[Level.DUPLICATES].keepers_of(near) == near]
    return knowledge.matcher.unseen(image_id, keepers.tolist())


def _look_at(knowledge: Knowledge, pairs: Sequence[Pair], ask: Ask) -> list[tuple[Pair, StoredLook]]:
    matcher = knowledge.matcher
    parts = [pairs[start : start + _PAIRS] for start in range(0, len(pairs), _PAIRS)]
    seen: list[tuple[Pair, StoredLook]] = []
    try:
        answers = ask([matcher.look_task(part) for part in parts])
    except StateError:  # no process can be started
        return seen
    for part, answer in zip(parts, answers, strict=True):
        looks: tuple[object, ...] = answer if isinstance(answer, tuple) and len(answer) == len(part) else ()
        for pair, look in zip(part, looks, strict=False):  # none of a failure: a process died, or took too long
            if not isinstance(look, StoredLook):
                continue
            if look.kind is not MatchKind.COPY:
                matcher.note_look(*pair, look)
            seen.append((pair, look))
    return seen
