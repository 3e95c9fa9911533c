"""The training loop: resumable, sized by wall time, logged line by line as JSON.

Several networks can learn from one stream of batches: making the views costs more than learning from them.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.models.compact import CompactNet, CompactShape
from pipeline.training.data import Batch, BatchPlan, Pack, open_pack, unlabelled_pairs
from pipeline.training.objective import KeyQueue, Known, ObjectiveSettings, copy_loss
from pipeline.training.rivals import build_rivals, open_rivals
from pipeline.training.stream import BatchStream

# On a processor small pictures come first: what is learnt early does not need the detail, and steps cost half. All
# sides are multiples of 32: at 80 pixels the odd feature maps cost as much as those of 96.
SMALL_SIDE = 64
SMALL_UNTIL = 0.62
# A step that took longer than this was a stopped process or a sleeping machine, not training.
LONGEST_STEP_SECONDS = 30.0
LOG_EVERY_STEPS = 20


@dataclass(frozen=True, slots=True)
class NetPlan:
    """State one network to train: the side in pixels of what it sees, its layers, and weights to go on from."""

    name: str = "net"
    side: int = 96
    shape: CompactShape = field(default_factory=CompactShape)
    weights: str | None = None  # a .safetensors file, instead of random weights


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Hold everything that shapes a run besides the pictures."""

    minutes: float = 95.0
    seed: int = 1
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    queue_size: int = 8192
    freeze_at: float = 0.7  # share of the time from which batch norms run on the averaged statistics, as when shipped
    last_momentum: float = 0.996  # of the moving average; nearer to 1 where there are more steps
    checkpoint_seconds: float = 180.0
    processes: int = 2
    device: str = "cpu"
    nets: tuple[NetPlan, ...] = (NetPlan(),)
    plan: BatchPlan = field(default_factory=BatchPlan)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)

    @property
    def side(self) -> int:
        """The side in pixels at which views are made: the largest that a network sees."""
        return max(net.side for net in self.nets)


@dataclass(slots=True)
class RunState:
    """Hold what changes during a run of one network and goes into its checkpoint."""

    net: CompactNet
    average: CompactNet
    optimizer: torch.optim.Optimizer
    memory: KeyQueue
    side: int
    going_on: bool
    step: int = 0
    trained_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Views:
    """Hold a batch on the device: uint8 `[n, 3, s, s]` and `[views * n, 3, s, s]`, and what is known as in `Batch`."""

    weak: Tensor
    strong: Tensor
    known: Known


def side_at(settings: TrainingSettings, progress: float) -> int:
    """Return the side in pixels of the views when `progress` 0–1 of the time is gone.

    An accelerator waits for the views anyway, and a network that goes on from earlier weights needs no small pictures.
    """
    going_on = any(net.weights is not None for net in settings.nets)
    small = settings.device == "cpu" and not going_on and progress < SMALL_UNTIL
    return min(SMALL_SIDE, settings.side) if small else settings.side


def severity_at(settings: TrainingSettings, progress: float) -> float:
    """Return how hard the strong views are: they grow to full strength over the first eighth."""
    going_on = all(net.weights is not None for net in settings.nets)
    return 1.0 if going_on else min(1.0, 0.5 + 4.0 * progress)


def rate_at(settings: TrainingSettings, step: int, progress: float) -> float:
    """Return the learning rate: linear warm-up by steps, then a cosine over the time given."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    return settings.learning_rate * warm * max(0.004, 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0))))


def momentum_at(settings: TrainingSettings, step: int, progress: float) -> float:
    """Return the share that the moving average keeps per step: it forgets its random start quickly."""
    last = settings.last_momentum
    return min((1.0 + step) / (10.0 + step), last - (last - 0.99) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def start(settings: TrainingSettings, plan: NetPlan) -> RunState:
    """Return a fresh run of one network."""
    torch.manual_seed(settings.seed)
    net = CompactNet(plan.shape).to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if plan.weights is not None:
        loaded = {name: value.float() for name, value in load_file(plan.weights).items()}
        missing, unexpected = net.load_state_dict(loaded, strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ValueError(f"{plan.weights} does not fit the network of this recipe")
    average = deepcopy(net).eval().requires_grad_(False)
    decayed = [p for p in net.parameters() if p.ndim > 1]
    free = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
    )
    memory = KeyQueue(settings.queue_size, plan.shape.dimension, settings.device)
    return RunState(net, average, optimizer, memory, plan.side, plan.weights is not None)


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
    whole: dict[str, Any] = torch.load(path, weights_only=True, map_location=state.memory.keys.device)
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


def on_device(batch: Batch, device: str) -> Views:
    """Move a batch to the device."""
    weak, strong = (as_tensor(views).to(device) for views in (batch.weak, batch.strong))
    facts = (torch.from_numpy(numbers).to(device) for numbers in (batch.ids, batch.donors, batch.rivals))
    return Views(weak, strong, Known(*facts))


def shrunk(views: Tensor, side: int) -> Tensor:
    """Shrink uint8 views `[n, 3, s, s]` to a network's side by averaging; smaller ones stay as they are."""
    if views.shape[-1] <= side:
        return views
    return functional.adaptive_avg_pool2d(views.float(), side).contiguous(memory_format=torch.channels_last)


def take_step(
    state: RunState, views: Views, unlabelled: Tensor, settings: TrainingSettings, progress: float
) -> dict[str, Tensor]:
    """Learn from one batch and return the parts of its loss, left on the device."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate_at(settings, state.step, progress)
    set_mode(state, frozen=progress >= settings.freeze_at)
    with torch.autocast(views.weak.device.type, torch.bfloat16):
        with torch.no_grad():
            keys = state.average(shrunk(views.weak, state.side)).float()
        queries = state.net(shrunk(views.strong, state.side)).float()
    ramp = 1.0 if state.going_on else min(1.0, state.step / 400)
    loss, parts = copy_loss(queries, keys, views.known, state.memory, unlabelled, settings.objective, ramp)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), 3.0)
    state.optimizer.step()
    state.memory.push(keys, views.known.ids)
    follow(state, momentum_at(settings, state.step, progress))
    state.step += 1
    return {"loss": loss.detach(), "gradient": norm, **parts}


def set_mode(state: RunState, *, frozen: bool) -> None:
    """Train with batch statistics at first and with the averaged ones, those that ship, later.

    The change starts from the averaged network, so that nothing jumps.
    """
    if not frozen:
        state.net.train()
    elif state.net.training:
        state.net.load_state_dict(state.average.state_dict())
        state.net.eval()


@torch.no_grad()
def follow(state: RunState, momentum: float) -> None:
    """Move the average towards the network; batch-norm statistics follow like weights."""
    current = state.net.state_dict()
    pairs = [(value, current[name]) for name, value in state.average.state_dict().items() if value.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in pairs], [new for _, new in pairs], 1.0 - momentum)


def folder_of(out: Path, settings: TrainingSettings, plan: NetPlan) -> Path:
    """Return where a network's checkpoint and weights go: `out`, or one folder each in it where there are several."""
    return out if len(settings.nets) == 1 else out / plan.name


def run(pack_folder: Path, out: Path, settings: TrainingSettings) -> list[RunState]:
    """Train until the minutes are used up, going on from the checkpoints in `out` if there are any."""
    pack: Pack = open_pack(pack_folder)
    torch.backends.cudnn.benchmark = True
    unlabelled = torch.from_numpy(not_strangers(pack, pack_folder, settings)).to(settings.device)
    folders = [folder_of(out, settings, plan) for plan in settings.nets]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    states = [start(settings, plan) for plan in settings.nets]
    resumed = [load_checkpoint(state, folder) for state, folder in zip(states, folders, strict=True)]
    with (out / "log.jsonl").open("a", encoding="utf-8") as log:
        facts = {"event": "resume" if any(resumed) else "start", "pictures": len(pack), "step": states[0].step}
        write_line(log, facts | {"settings": asdict(settings), "unlabelled": float(unlabelled.float().mean())})
        reuse = settings.device == "cpu"
        stream = BatchStream(
            pack_folder, settings.plan, settings.seed, states[0].step, settings.processes, settings.side, reuse
        )
        try:
            loop(states, stream, unlabelled, settings, folders, log)
        finally:
            # Also when told to stop: nothing learnt is lost.
            stream.close()
            for state, folder in zip(states, folders, strict=True):
                save_checkpoint(state, folder)
        write_line(log, {"event": "end", "step": states[0].step, "seconds": round(states[0].trained_seconds, 1)})
    return states


def not_strangers(pack: Pack, pack_folder: Path, settings: TrainingSettings) -> NDArray[np.bool_]:
    """Mark pairs of pictures `[n, n]` that are no negatives; seek rivals first where the plan wants them."""
    if settings.plan.rival_share <= 0:
        return unlabelled_pairs(pack)
    rivals = open_rivals(pack_folder)
    if rivals is None:
        first = settings.nets[0]
        if first.weights is None:
            raise ValueError("rivals are sought with the weights of the first network: give them as NAME:SIDE@FILE")
        build_rivals(pack_folder, Path(first.weights), first.side)
        rivals = open_rivals(pack_folder)
        assert rivals is not None, "they were just written"
    return rivals.unlabelled()


def loop(
    states: Sequence[RunState],
    stream: BatchStream,
    unlabelled: Tensor,
    settings: TrainingSettings,
    folders: Sequence[Path],
    log: Any,
) -> None:
    """Take steps, log them and write checkpoints until the minutes are used up."""
    saved = clock = time.monotonic()
    total = settings.minutes * 60.0
    first = states[0]
    while first.trained_seconds < total:
        progress = first.trained_seconds / total
        stream.demand(side_at(settings, progress), severity_at(settings, progress))
        batch = next(stream)
        views = on_device(batch, settings.device)
        parts = [take_step(state, views, unlabelled, settings, progress) for state in states]
        if first.step % LOG_EVERY_STEPS == 0:
            for plan, state, part in zip(settings.nets, states, parts, strict=True):
                facts = {"net": plan.name, "step": state.step, "seconds": round(first.trained_seconds, 1)}
                facts |= {"side": batch.weak.shape[1], "fresh": stream.fresh, "reused": stream.reused}
                facts |= {"rate": rate_at(settings, state.step, progress)}
                write_line(log, facts | {key: round(float(value), 4) for key, value in part.items()})
        now = time.monotonic()
        for state in states:
            state.trained_seconds += min(now - clock, LONGEST_STEP_SECONDS)
        clock = now
        if now - saved > settings.checkpoint_seconds:
            for state, folder in zip(states, folders, strict=True):
                save_checkpoint(state, folder)
            saved = now


def write_line(log: Any, facts: dict[str, Any]) -> None:
    """Append one JSON line and flush it, so that a killed run keeps its log."""
    log.write(json.dumps(facts) + "\n")
    log.flush()
