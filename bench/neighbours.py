"""Cosines set against what else lies near: pictures of one scene lie near each other, and a copy nearest of all.

From the cosine of a pair a share of the mean cosine of each one's nearest others is taken off (cross-domain similarity
local scaling, Conneau and others 2018, with a weight). It needs no background set, unlike the normalisation of SSCD
(Pizzi and others 2022), and no order of arrival; but it is a matter of the whole album, and changes as that grows. So
dedupd, whose verdicts on a pair must not, ranks by it nowhere but here.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEAREST, WEIGHT = 5, 0.3  # chosen on the training's gallery; the best for the album without any one of its sources, too
_BLOCK = 512


def against_neighbours(originals: Floats, copies: Floats) -> Floats:
    """Score each copy against each original, [copies, originals], by unit vectors [n, d] of both.

    The nearest are sought among all pictures but the two of the pair.
    """
    everything = np.concatenate([copies, originals])
    nearest = np.concatenate([_nearest(everything, start, NEAREST + 1) for start in range(0, len(everything), _BLOCK)])
    ours, theirs = nearest[: len(copies)], nearest[len(copies) :]
    scores = np.empty((len(copies), len(originals)), np.float32)
    for start in range(0, len(copies), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = copies[rows] @ originals.T
        of_ours = _mean_without(ours[rows], cosines)
        of_theirs = _mean_without(theirs, cosines.T).T
        scores[rows] = cosines - np.float32(WEIGHT) * (of_ours + of_theirs)
    return scores


def _nearest(vectors: Floats, start: int, count: int) -> Floats:
    """Return the highest cosines of some vectors with all others, best first: [block, count]."""
    block = vectors[start : start + _BLOCK]
    cosines = block @ vectors.T
    cosines[np.arange(len(block)), start + np.arange(len(block))] = -1
    count = min(count, cosines.shape[1] - 1)
    highest = -np.partition(-cosines, count - 1, axis=1)[:, :count]
    return np.asarray(-np.sort(-highest, axis=1), np.float32)


def _mean_without(nearest: Floats, cosines: Floats) -> Floats:
    """Average the nearest of each row [n, k + 1] for each pair [n, m], the other of the pair left out."""
    among = cosines >= nearest[:, -2:-1]
    first, all_of_them = nearest[:, :-1].sum(axis=1, keepdims=True), nearest.sum(axis=1, keepdims=True)
    return np.asarray(np.where(among, all_of_them - cosines, first) / (nearest.shape[1] - 1), np.float32)
