"""Matches → keepers and extras: groups that cannot chain.

The rule: order all images by rank and walk down; an image that matches no keeper so far becomes a keeper, otherwise it
is an extra of the highest-ranking keeper it matches. That is the lexicographically first maximal independent set of
the match graph (Cook 1985; Blelloch, Fineman and Shun 2012 show why a change spreads only down the ranks).
Rulings bend it in two places: what is to stay stands behind nobody (`yields`), and of two images ruled to be no
duplicates the higher one joins a keeper that both match, while the other goes on to its next one or stays itself.
`full_walk` is the rule itself, the oracle of tests and of `check`; `reconsider` gives the same result for a change
while it touches only images whose standing may differ.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from store.records import Rank


class Neighbourhood(Protocol):
    """What the walk asks of the world, at one level."""

    def rank(self, image_id: int) -> Rank:
        """Return the image's place in the total order."""
        ...

    def keepers_near(self, image_id: int) -> Iterable[int]:
        """List keepers that may match; none that does match is missing."""
        ...

    def extras_near(self, image_id: int, keeper_below: Rank) -> Iterable[int]:
        """List extras that may match and whose keeper ranks below `keeper_below`."""
        ...

    def matches(self, extra: int, keeper: int) -> bool:
        """Decide, for ever the same, whether two images match at this level and the keeper can stand for the extra."""
        ...

    def apart_from(self, image_id: int) -> Iterable[int]:
        """List, symmetrically, images that may not stand behind one keeper with this one; some may be out of play."""
        ...


class Standings(Protocol):
    """Who stands where at one level."""

    def keeper_of(self, image_id: int) -> int | None:
        """Return the image's keeper, itself for a keeper, None when out of play."""
        ...

    def extras_of(self, keeper_id: int) -> list[int]:
        """List a keeper's extras."""
        ...

    def put(self, image_id: int, keeper_id: int | None) -> None:
        """Set an image's keeper; None takes it out of play."""
        ...


class _Highest:
    """A heap entry that comes out in order of rank, highest first."""

    __slots__ = ("image_id", "key")

    def __init__(self, rank: Rank) -> None:
        self.image_id = rank.image_id
        self.key = rank.key

    def __lt__(self, other: "_Highest") -> bool:
        return self.key > other.key


def outranks(a: Rank, b: Rank) -> bool:
    """Tell whether `a` comes before `b` in the walk."""
    return a.key > b.key


def yields(own: Rank, keeper: Rank) -> bool:
    """Tell whether an image may stand behind a keeper that it matches, as far as it goes by who they are.

    What is protected stands behind nobody; what a person ruled to stay, only behind what was chosen later.
    """
    return outranks(keeper, own) and not own.protected and (not own.kept or keeper.chosen > own.kept)


def reconsider(entered: Iterable[int], left: Iterable[int], standings: Standings, near: Neighbourhood) -> set[int]:
    """Bring the standings up to date after images entered or left play (or changed rank: then they are in both).

    Works down the ranks: an image's standing depends only on those above it, so each is settled once. Returns the
    ids of all images whose standing changed, those that left included.
    """
    changed: set[int] = set()
    waiting: list[_Highest] = []
    queued: set[int] = set()

    def queue(image_id: int) -> None:
        if image_id not in queued:
            queued.add(image_id)
            heapq.heappush(waiting, _Highest(near.rank(image_id)))

    gone = set(left)
    for image_id in gone:
        if standings.keeper_of(image_id) is not None:
            changed.add(image_id)
            orphans = [*standings.extras_of(image_id), *_standing_apart(image_id, standings, near)]
            standings.put(image_id, None)
            for other in orphans:
                if other not in gone:
                    queue(other)
    for image_id in entered:
        queue(image_id)
    while waiting:
        image_id = heapq.heappop(waiting).image_id
        before = standings.keeper_of(image_id)
        after = _keeper_for(image_id, standings, near)
        if before == after:
            continue
        changed.add(image_id)
        orphans = standings.extras_of(image_id) if before == image_id else []
        standings.put(image_id, after)
        own = near.rank(image_id)
        apart = [other for other in _standing_apart(image_id, standings, near) if outranks(own, near.rank(other))]
        for below in [*apart, *(orphans if after != image_id else _touched_by(image_id, near))]:
            queue(below)
    return changed


def _standing_apart(image_id: int, standings: Standings, near: Neighbourhood) -> list[int]:
    """List the images in play that may not stand behind one keeper with this one."""
    return [other for other in near.apart_from(image_id) if standings.keeper_of(other) is not None]


def _keeper_for(image_id: int, standings: Standings, near: Neighbourhood) -> int:
    """Return the highest-ranking keeper that takes the image in, or the image itself.

    A keeper takes in what it outranks and matches, unless something above the image that was ruled to be no
    duplicate of it stands there already.
    """
    own = near.rank(image_id)
    above = [rank for rank in map(near.rank, near.keepers_near(image_id)) if yields(own, rank)]
    if not above:
        return image_id
    apart = _standing_apart(image_id, standings, near)
    barred = {standings.keeper_of(other) for other in apart if outranks(near.rank(other), own)}
    for rank in sorted(above, key=_Highest):
        if rank.image_id not in barred and near.matches(image_id, rank.image_id):
            return rank.image_id
    return image_id


def _touched_by(keeper_id: int, near: Neighbourhood) -> list[int]:
    """List images below a new keeper that it demotes or takes over."""
    own = near.rank(keeper_id)
    nearby = [*near.keepers_near(keeper_id), *near.extras_near(keeper_id, own)]
    below = [other for other in nearby if other != keeper_id and yields(near.rank(other), own)]
    return [other for other in below if near.matches(other, keeper_id)]


def full_walk(
    ranks: Iterable[Rank],
    matches: Callable[[int, int], bool],
    apart_from: Callable[[int], Iterable[int]] = lambda image_id: (),
) -> dict[int, int]:
    """Walk all images down the ranks: image id → keeper id. The definition; quadratic.

    `apart_from` lists, for an image, those that may not stand behind one keeper with it.
    """
    keepers: list[Rank] = []
    standing: dict[int, int] = {}
    for rank in sorted(ranks, key=_Highest):
        own = rank.image_id
        barred = {standing.get(other) for other in apart_from(own)}
        above = (k.image_id for k in keepers if yields(rank, k) and k.image_id not in barred)
        standing[own] = next((keeper for keeper in above if matches(own, keeper)), own)
        if standing[own] == own:
            keepers.append(rank)
    return standing


def linked_groups(standing: Mapping[int, int]) -> list[list[int]]:
    """Join extras with their keepers into groups of two and more, largest first."""
    import networkx as nx  # takes 0.1 s, and only reports ask

    graph: nx.Graph[int] = nx.Graph()
    graph.add_edges_from((image_id, keeper_id) for image_id, keeper_id in standing.items() if image_id != keeper_id)
    return sorted((sorted(group) for group in nx.connected_components(graph)), key=lambda group: (-len(group), group))
