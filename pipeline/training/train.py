"""The training loop: resumable, sized by wall time, logged line by line as JSON."""

from __future__ import annotations

import json
import math
import os
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.models.compact import CompactNet, CompactShape
from pipeline.training.data import Batch, BatchPlan, BatchStream, Pack, open_pack, unlabelled_pairs
from pipeline.training.objective import KeyQueue, ObjectiveSettings, copy_loss

# Small pictures first: what is learnt early does not need the detail, and steps cost half. All sides are multiples of
# 32: at 80 pixels the odd feature maps cost as much as those of 96.
SIDE_SCHEDULE = ((0.0, 64), (0.62, 96))
# A network that goes on from earlier weights needs no small pictures.
GOING_ON_SIDE = 96
# A step that took longer than this was a stopped process or a sleeping machine, not training.
LONGEST_STEP_SECONDS = 30.0
# From this share of the time on, batch norms run on the averaged statistics, as they do in the shipped network.
FREEZE_AT = 0.70
LOG_EVERY_STEPS = 20


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Hold everything that shapes a run besides the pictures."""

    minutes: float = 95.0
    seed: int = 1
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    queue_size: int = 8192
    checkpoint_seconds: float = 180.0
    processes: int = 2
    weights: str | None = None  # a .safetensors file to go on from, instead of random weights
    plan: BatchPlan = field(default_factory=BatchPlan)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    shape: CompactShape = field(default_factory=CompactShape)


@dataclass(slots=True)
class RunState:
    """Hold what changes during a run and goes into its checkpoint."""

    net: CompactNet
    average: CompactNet
    optimizer: torch.optim.Optimizer
    memory: KeyQueue
    step: int = 0
    trained_seconds: float = 0.0


def side_at(progress: float, going_on: bool = False) -> int:
    """Return the side in pixels to train at when `progress` 0–1 of the time is gone."""
    if going_on:
        return GOING_ON_SIDE
    return [side for start, side in SIDE_SCHEDULE if progress >= start][-1]


def severity_at(progress: float, going_on: bool = False) -> float:
    """Return how hard the strong views are: they grow to full strength over the first eighth."""
    return 1.0 if going_on else min(1.0, 0.5 + 4.0 * progress)


def rate_at(settings: TrainingSettings, step: int, progress: float) -> float:
    """Return the learning rate: linear warm-up by steps, then a cosine over the time given."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    return settings.learning_rate * warm * max(0.004, 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def momentum_at(step: int, progress: float) -> float:
    """Return the share that the moving average keeps per step: it forgets its random start quickly."""
    return min((1.0 + step) / (10.0 + step), 0.996 - 0.006 * 0.5 * (1.0 + math.cos(math.pi * progress)))


def start(settings: TrainingSettings) -> RunState:
    """Return a fresh run."""
    torch.manual_seed(settings.seed)
    net = CompactNet(settings.shape).to(memory_format=torch.channels_last)
    if settings.weights is not None:
        loaded = {name: value.float() for name, value in load_file(settings.weights).items()}
        missing, unexpected = net.load_state_dict(loaded, strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ValueError(f"{settings.weights} does not fit the network of this recipe")
    average = deepcopy(net).eval().requires_grad_(False)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    free = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )
    return RunState(net, average, optimizer, KeyQueue(settings.queue_size, settings.shape.dimension))


def save_checkpoint(state: RunState, folder: Path) -> None:
    """Write the whole run and, beside it, the averaged weights alone; both appear at once or not at all."""
    whole = {
        "net": state.net.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "keys": state.memory.keys,
        "ids": state.memory.ids,
        "cursor": state.memory.cursor,
        "step": state.step,
        "trained_seconds": state.trained_seconds,
    }
    torch.save(whole, folder / "checkpoint.tmp")
    os.replace(folder / "checkpoint.tmp", folder / "checkpoint.pt")
    export_weights(state.average, folder / "snapshot.safetensors")


def export_weights(net: CompactNet, path: Path) -> None:
    """Write the weights as float16 safetensors with the shape of the network in the header."""
    tensors = {
        name: value.to(torch.float16).contiguous()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    partial = path.with_suffix(".tmp")
    save_file(tensors, partial, metadata={"shape": json.dumps(asdict(net.shape))})
    partial.chmod(0o644)
    os.replace(partial, path)


def load_checkpoint(state: RunState, folder: Path) -> bool:
    """Continue from `folder` if it holds a checkpoint; say whether it did."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return False
    whole: dict[str, Any] = torch.load(path, weights_only=True)
    state.net.load_state_dict(whole["net"])
    state.average.load_state_dict(whole["average"])
    state.optimizer.load_state_dict(whole["optimizer"])
    state.memory.keys, state.memory.ids = whole["keys"], whole["ids"]
    state.memory.cursor, state.step = whole["cursor"], whole["step"]
    state.trained_seconds = whole["trained_seconds"]
    return True


def as_tensor(views: NDArray[np.uint8]) -> Tensor:
    """Return `[n, s, s, 3]` uint8 as a channels-last `[n, 3, s, s]` tensor without copying."""
    return torch.from_numpy(views).permute(0, 3, 1, 2)


def take_step(
    state: RunState, batch: Batch, unlabelled: Tensor, settings: TrainingSettings, progress: float
) -> dict[str, float]:
    """Learn from one batch and return the parts of its loss."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate_at(settings, state.step, progress)
    set_mode(state, progress)
    ids = torch.from_numpy(batch.ids)
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            keys = state.average(as_tensor(batch.weak)).float()
        queries = state.net(as_tensor(batch.strong)).float()
    loss, parts = copy_loss(
        queries, keys, ids, state.memory, unlabelled, settings.objective, min(1.0, state.step / 400)
    )
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), 3.0)
    state.optimizer.step()
    state.memory.push(keys, ids)
    follow(state, momentum_at(state.step, progress))
    state.step += 1
    return {"loss": float(loss.detach()), "gradient": float(norm), **parts}


def set_mode(state: RunState, progress: float) -> None:
    """Train with batch statistics at first and with the averaged ones, those that ship, from `FREEZE_AT` on.

    The change starts from the averaged network, so that nothing jumps.
    """
    if progress < FREEZE_AT:
        state.net.train()
    elif state.net.training:
        state.net.load_state_dict(state.average.state_dict())
        state.net.eval()


@torch.no_grad()
def follow(state: RunState, momentum: float) -> None:
    """Move the average towards the network; batch-norm statistics follow like weights."""
    current = state.net.state_dict()
    for name, value in state.average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[name], 1.0 - momentum)


def run(pack_folder: Path, out: Path, settings: TrainingSettings) -> RunState:
    """Train until the minutes are used up, going on from a checkpoint in `out` if there is one."""
    out.mkdir(parents=True, exist_ok=True)
    pack: Pack = open_pack(pack_folder)
    unlabelled = torch.from_numpy(unlabelled_pairs(pack))
    state = start(settings)
    resumed = load_checkpoint(state, out)
    total = settings.minutes * 60.0
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        facts = {"event": "resume" if resumed else "start", "pictures": len(pack), "step": state.step}
        write_line(log, facts | {"settings": asdict(settings), "unlabelled": float(unlabelled.float().mean())})
        stream = BatchStream(pack_folder, settings.plan, settings.seed, state.step, settings.processes)
        try:
            loop(state, stream, unlabelled, settings, total, out, log)
        finally:
            # Also when told to stop: nothing learnt is lost.
            stream.close()
            save_checkpoint(state, out)
        write_line(log, {"event": "end", "step": state.step, "seconds": round(state.trained_seconds, 1)})
    return state


def loop(
    state: RunState,
    stream: BatchStream,
    unlabelled: Tensor,
    settings: TrainingSettings,
    total: float,
    out: Path,
    log: Any,
) -> None:
    """Take steps, log them and write checkpoints until `total` seconds of training are reached."""
    saved = clock = time.monotonic()
    going_on = settings.weights is not None
    while state.trained_seconds < total:
        progress = state.trained_seconds / total
        stream.demand(side_at(progress, going_on), severity_at(progress, going_on))
        batch = next(stream)
        parts = take_step(state, batch, unlabelled, settings, progress)
        now = time.monotonic()
        state.trained_seconds += min(now - clock, LONGEST_STEP_SECONDS)
        clock = now
        if state.step % LOG_EVERY_STEPS == 0:
            facts = {"step": state.step, "seconds": round(state.trained_seconds, 1), "side": batch.weak.shape[1]}
            facts |= {"fresh": stream.fresh, "reused": stream.reused, "rate": rate_at(settings, state.step, progress)}
            write_line(log, facts | {key: round(value, 4) for key, value in parts.items()})
        if now - saved > settings.checkpoint_seconds:
            save_checkpoint(state, out)
            saved = now


def write_line(log: Any, facts: dict[str, Any]) -> None:
    """Append one JSON line and flush it, so that a killed run keeps its log."""
    log.write(json.dumps(facts) + "\n")
    log.flush()
