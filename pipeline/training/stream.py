"""Batches from worker processes, handed over in shared memory.

A batch of a large run is 75 MB; through a pipe it would cost the training process more than the step.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.training.data import (
    Batch,
    BatchPlan,
    Pack,
    Sampling,
    look_alikes,
    make_batch,
    open_pack,
    sampling_weights,
)
from pipeline.training.rivals import open_rivals

_MOST_PER_SET = 1200
# Batches that wait while others are made, besides one for every worker.
_SPARE_SLOTS = 6
# A late batch is waited for this long before a recent one is used again.
_PATIENCE_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Shared:
    """Hold what the workers and the training process have in common."""

    memory: Any  # uint8 [slots * slot bytes]
    free: Any  # queue of empty slots
    full: Any  # queue of (slot, number, side, ids, donors, rivals)
    following: Any  # number of the next batch
    side: Any
    severity: Any
    stop: Event


def slot_views(memory: Any, slot: int, plan: BatchPlan, most_pixels: int, side: int) -> NDArray[np.uint8]:
    """Return the views `[(1 + views) * n, s, s, 3]` that lie in a slot, weak ones first, without copying."""
    count = plan.bases * (1 + plan.views)
    start = slot * count * most_pixels**2 * 3
    flat = np.frombuffer(memory, np.uint8, count * side**2 * 3, start)
    return flat.reshape(count, side, side, 3)


class BatchStream:
    """Run augmentation processes and hand out their batches.

    With `reuse`, where the workers fall behind (a shared machine), a recent batch is handed out again, its strong
    views mirrored or turned as a whole, rather than letting the training core wait.
    """

    def __init__(
        self, pack_folder: Path, plan: BatchPlan, seed: int, first: int, processes: int, most_pixels: int, reuse: bool
    ) -> None:
        context = multiprocessing.get_context("spawn")
        slots = processes + _SPARE_SLOTS
        slot_bytes = plan.bases * (1 + plan.views) * most_pixels**2 * 3
        self._shared = _Shared(
            memory=context.RawArray("B", slots * slot_bytes),
            free=context.Queue(),
            full=context.Queue(),
            following=context.Value("q", first),
            side=context.Value("i", most_pixels),
            severity=context.Value("d", 0.5),
            stop=context.Event(),
        )
        for slot in range(slots):
            self._shared.free.put(slot)
        self._plan, self._most_pixels, self._reuse = plan, most_pixels, reuse
        self._recent: list[Batch] = []
        self._rng = np.random.default_rng((seed, first, 7))
        self.fresh = 0
        self.reused = 0
        self._workers = [
            context.Process(target=_work, args=(pack_folder, plan, seed, core, most_pixels, self._shared), daemon=True)
            for core in range(processes)
        ]
        for worker in self._workers:
            worker.start()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def demand(self, side: int, severity: float) -> None:
        """Set the side and the severity of the batches to come."""
        self._shared.side.value, self._shared.severity.value = side, severity

    def __next__(self) -> Batch:
        """Return a batch of the demanded side."""
        side = self._shared.side.value
        while True:
            may_reuse = len(self._recent) >= 24 and self._recent[0].weak.shape[1] == side
            try:
                batch = self._taken(_PATIENCE_SECONDS if may_reuse else _LONGEST_WAIT_SECONDS, side)
            except queue.Empty:
                if may_reuse:
                    self.reused += 1
                    return self._again()
                if not any(worker.is_alive() for worker in self._workers):
                    raise RuntimeError("the augmentation processes have ended; see their messages above") from None
                continue
            if batch is None:
                continue
            self.fresh += 1
            if self._reuse:
                if self._recent and self._recent[0].weak.shape[1] != side:
                    self._recent.clear()
                self._recent.append(batch)
                del self._recent[:-48]
            return batch

    def _taken(self, timeout_seconds: float, side: int) -> Batch | None:
        """Copy a batch out of its slot; None for one made before the side changed."""
        slot, number, made_side, ids, donors, rivals = self._shared.full.get(timeout=timeout_seconds)
        views = None
        if made_side == side:
            views = slot_views(self._shared.memory, slot, self._plan, self._most_pixels, side).copy()
        self._shared.free.put(slot)
        return None if views is None else Batch(number, ids, views[: len(ids)], views[len(ids) :], donors, rivals)

    def _again(self) -> Batch:
        # The oldest first: what was seen last is least worth seeing again.
        old = self._recent.pop(int(self._rng.integers(0, len(self._recent) // 2)))
        return replace(old, strong=_turned(old.strong, self._rng))

    def close(self) -> None:
        """Stop the workers."""
        self._shared.stop.set()
        for worker in self._workers:
            worker.terminate()
            worker.join(timeout=5)


def _turned(views: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror or turn a whole batch `[n, s, s, 3]` at random, or leave it."""
    draw = rng.random()
    if draw < 0.4:
        return views
    if draw < 0.7:
        return np.ascontiguousarray(views[:, :, ::-1])
    return np.ascontiguousarray(np.rot90(views, int(rng.integers(1, 4)), axes=(1, 2)))


def sampling_of(pack: Pack, pack_folder: Path) -> Sampling:
    """Return what batches of a pack are drawn by, with its rivals where these were sought."""
    rivals = open_rivals(pack_folder)
    near = np.full((len(pack), 1), -1, np.int64) if rivals is None else rivals.near
    return Sampling(sampling_weights(pack, _MOST_PER_SET), look_alikes(pack), near)


def _work(pack_folder: Path, plan: BatchPlan, seed: int, core: int, most_pixels: int, shared: _Shared) -> None:
    """Augment at low priority until told to stop or left alone."""
    # Where the first core is busy with other work, the training core's own helper must keep up.
    os.setpriority(os.PRIO_PROCESS, 0, 19 if core == 0 else 11)
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})
    pack = open_pack(pack_folder)
    sampling = sampling_of(pack, pack_folder)
    parent = os.getppid()
    while not shared.stop.is_set() and os.getppid() == parent:
        try:
            slot = shared.free.get(timeout=5.0)
        except queue.Empty:
            continue
        with shared.following.get_lock():
            number = shared.following.value
            shared.following.value += 1
        side = shared.side.value
        batch = make_batch(pack, sampling, number, seed, plan, side, shared.severity.value)
        views = slot_views(shared.memory, slot, plan, most_pixels, side)
        views[: plan.bases] = batch.weak
        views[plan.bases :] = batch.strong
        shared.full.put((slot, number, side, batch.ids, batch.donors, batch.rivals))
