"""What the network is asked to do: find its own picture among thousands, and keep strangers apart.

InfoNCE (van den Oord et al. 2018) of each edited view against the embedding that a slowly moving average of the
network gives the unedited picture, with a queue of earlier pictures as further negatives (momentum contrast, He et
al. 2020), and the differential entropy term of SSCD (Pizzi et al. 2022; Kozachenko–Leonenko estimator), which
spreads unrelated pictures over the sphere so that one threshold fits all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """Weigh the parts of the loss."""

    temperature: float = 0.05
    twin_weight: float = 0.3
    entropy_weight: float = 8.0


class KeyQueue:
    """Keep the newest `size` keys `[size, d]` with the picture number of each (−1: drawn, −2: empty)."""

    def __init__(self, size: int, dimension: int, device: str = "cpu") -> None:
        keys = functional.normalize(torch.randn(size, dimension, generator=torch.Generator().manual_seed(1)))
        self.keys = keys.to(device)
        self.ids = torch.full((size,), -2, dtype=torch.int64, device=device)
        self.cursor = 0

    def push(self, keys: Tensor, ids: Tensor) -> None:
        """Overwrite the oldest keys."""
        places = (torch.arange(len(keys), device=keys.device) + self.cursor) % len(self.keys)
        self.keys[places] = keys
        self.ids[places] = ids
        self.cursor = int((self.cursor + len(keys)) % len(self.keys))


def forbidden_pairs(left: Tensor, right: Tensor, unlabelled: Tensor) -> Tensor:
    """Mark pairs of picture numbers `[n]` × `[m]` that are no negatives, from the table `[p, p]`."""
    known = unlabelled[left.clamp_min(0)][:, right.clamp_min(0)]
    known = known & (left >= 0)[:, None] & (right >= 0)[None, :]
    return known | (right == -2)[None, :]


@dataclass(frozen=True, slots=True)
class Known:
    """Say what is known about the pictures of a batch of `n` bases in `v` strong views each."""

    ids: Tensor  # [n]; numbers of the pictures
    donors: Tensor  # [v * n]; numbers of pictures that a strong view shows as well
    rivals: Tensor  # [n]; rows of other shots of the same scene, −1 for none


def stranger_scores(queries: Tensor, keys: Tensor, facts: Known, memory: KeyQueue, unlabelled: Tensor) -> Tensor:
    """Return the cosines `[v * n, n + queue + v * n]` of queries to everything that is another picture.

    Columns are the keys of the batch, the queue, and the other queries; what is no negative holds the lowest float:
    also a picture that was pasted into a query, for the query shows it as well. Rivals are strangers even where both
    were made of one picture.
    """
    count = len(keys)
    views = len(queries) // count
    ids, all_ids = facts.ids, facts.ids.repeat(views)
    own = torch.arange(len(queries), device=queries.device) % count
    low = torch.finfo(torch.float32).min
    same_base = own[:, None] == own[None, :count]
    same_twin = own[:, None] == own[None, :]

    rival = facts.rivals.repeat(views)[:, None] == own[None, :]

    def known(others: Tensor) -> Tensor:
        return forbidden_pairs(all_ids, others, unlabelled) | (facts.donors[:, None] == others[None, :])

    parts = (
        (queries @ keys.T).masked_fill(known(ids) & ~rival[:, :count] | same_base, low),
        (queries @ memory.keys.T).masked_fill(known(memory.ids), low),
        (queries @ queries.T).masked_fill(known(all_ids) & ~rival | same_twin, low),
    )
    return torch.cat(parts, dim=1)


def copy_loss(
    queries: Tensor,
    keys: Tensor,
    known: Known,
    memory: KeyQueue,
    unlabelled: Tensor,
    settings: ObjectiveSettings,
    entropy_share: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss and its parts for `queries` `[v * n, d]` (gradient) and `keys` `[n, d]` (none).

    All stay on their device.
    """
    count = len(keys)
    strangers = stranger_scores(queries, keys, known, memory, unlabelled)
    negatives = torch.logsumexp(strangers / settings.temperature, dim=1)
    positive = (queries * keys.repeat(len(queries) // count, 1)).sum(dim=1)
    found = functional.softplus(negatives - positive / settings.temperature).mean()
    # The other strong view of the same base: edited copies must also find each other.
    twin = (queries * queries.roll(count, dims=0)).sum(dim=1)
    twins = functional.softplus(negatives - twin / settings.temperature).mean()
    nearest = strangers.max(dim=1).values
    entropy = -0.5 * torch.log((2.0 - 2.0 * nearest).clamp_min(1e-4)).mean()
    loss = found + settings.twin_weight * twins + settings.entropy_weight * entropy_share * entropy
    parts = {
        "infonce": found.detach(),
        "twins": twins.detach(),
        "entropy": entropy.detach(),
        "positive": positive.detach().mean(),
        "nearest": nearest.detach().mean(),
        "top1": (positive > nearest).float().mean(),
    }
    return loss, parts
