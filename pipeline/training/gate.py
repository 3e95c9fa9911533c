"""Train the quality gate: `python -m pipeline.training.gate --data DIR… --out DIR`.

Makes good, blurred, shaken and over-exposed pictures from those given and drawn ones, measures them with the shipped
features and fits the small networks of `pipeline.gate`. Deterministic by seed; run it again with the same `--out`
to go on after an interruption. Writes `dedupd-quality-1.safetensors` and `figures.json` to `--out`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline import octaves
from pipeline.gate import LIMIT, PARTS, TURNS, WEIGHTS, Floats, Gate
from pipeline.spectrum import ANGLES, POLAR, turned
from pipeline.training.gate_data import Examples, build_examples, gate_sets

Marks = NDArray[np.bool_]

_LEAST_DEVIATION = 1e-3  # a feature that never changes is left alone
_FOLDS = 5  # one part in five is left out of the first fit, for the figures


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Hold how one network is fitted."""

    units: int  # of each network
    networks: int  # averaged
    steps: int
    batch: int = 1024
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    good_weight: float = 4.0  # all good pictures together against all bad ones: losing a good one is worse
    seed: int = 1
    jitter: float = 0.0  # standard deviations of noise on the features: many of them say nearly the same
    turns: bool = False  # the last features turn with the picture (`pipeline.spectrum.turned`)


SETTINGS = {
    "glance": FitSettings(units=16, networks=2, steps=1200, weight_decay=0.1, good_weight=2.5),
    "blur": FitSettings(units=24, networks=4, steps=3000, weight_decay=0.1, good_weight=2.0, jitter=0.5, turns=True),
    "blown": FitSettings(units=24, networks=8, steps=1200, weight_decay=0.03, good_weight=10.0),
}


def fit(features: Floats, bad: Marks, settings: FitSettings) -> Gate:
    """Fit networks to features, float32 [n, features], and marks, bool [n]; return their average as one gate.

    Raises ValueError where one of the two classes is empty.
    """
    if bad.all() or not bad.any():
        raise ValueError("a gate needs good and bad examples")
    mean, deviation = features.mean(0), features.std(0) + np.float32(_LEAST_DEVIATION)
    if settings.turns:
        for part in (mean, deviation):
            part[-POLAR:] = np.tile(part[-POLAR:].reshape(ANGLES, -1).mean(0), ANGLES)  # no direction is special
    inputs = torch.from_numpy(np.clip((features - mean) / deviation, -LIMIT, LIMIT))
    weights = np.where(bad, 1 / bad.sum(), settings.good_weight / (~bad).sum()) * len(bad) / 2
    nets = [
        _fit_one(inputs, torch.from_numpy(bad).float(), torch.from_numpy(weights).float(), settings, number)
        for number in range(settings.networks)
    ]
    hidden, bias, output, offset = (np.stack(part) for part in zip(*nets, strict=True))
    return Gate(
        mean=mean,
        scale=1 / deviation,
        hidden=hidden.reshape(-1, features.shape[1]).astype(np.float16).astype(np.float32),  # as it is stored
        bias=bias.ravel(),
        output=np.asarray(output.ravel() / settings.networks, np.float32),
        offset=offset.mean(0),
        turns=turned(TURNS) if settings.turns else None,
    )


def _fit_one(
    inputs: torch.Tensor, bad: torch.Tensor, weights: torch.Tensor, settings: FitSettings, number: int
) -> list[Floats]:
    """Return hidden [units, features], bias [units], output [1, units] and offset [1]."""
    random = torch.Generator().manual_seed(1000 * settings.seed + number)
    torch.manual_seed(1000 * settings.seed + number)
    net = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], settings.units), torch.nn.Tanh(), torch.nn.Linear(settings.units, 1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3 * settings.learning_rate, total_steps=settings.steps)
    views = torch.from_numpy(turned(ANGLES)) if settings.turns else None
    for _ in range(settings.steps):
        chosen = torch.randint(0, len(inputs), (settings.batch,), generator=random)
        batch = inputs[chosen] if views is None else _seen_anyhow(inputs[chosen], views, random)
        if settings.jitter:
            batch = batch + settings.jitter * torch.randn(batch.shape, generator=random)
        loss = binary_cross_entropy_with_logits(net(batch)[:, 0], bad[chosen], weight=weights[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch declares no types for it
        optimizer.step()
        schedule.step()
    return [np.asarray(part.detach().numpy(), np.float32) for part in net.parameters()]


def _seen_anyhow(batch: torch.Tensor, views: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Turn and mirror each picture of a batch, [n, features], at random."""
    chosen = views[torch.randint(0, len(views), (len(batch),), generator=random)]
    still = batch.shape[1] - views.shape[1]
    return torch.cat([batch[:, :still], batch[:, still:].gather(1, chosen)], dim=1)


def errors(gate: Gate, features: Floats, bad: Marks) -> dict[str, float]:
    """Return how many of the examples there are, and which share (per cent) the gate judges wrongly."""
    scores = np.array([gate.score(row) for row in features])
    return {
        "good": int((~bad).sum()),
        "bad": int(bad.sum()),
        "good_rejected": round(100 * int((scores[~bad] > 0).sum()) / max(1, int((~bad).sum())), 2),
        "bad_passed": round(100 * int((scores[bad] <= 0).sum()) / max(1, int(bad.sum())), 2),
    }


def train(examples: Examples, settings: dict[str, FitSettings]) -> tuple[dict[str, Gate], dict[str, dict[str, float]]]:
    """Fit the gates on everything; return them with the figures of gates that never saw a fifth of the originals."""
    gates: dict[str, Gate] = {}
    figures: dict[str, dict[str, float]] = {}
    for name, features, bad, original in (
        ("glance", examples.blur[:, : octaves.FEATURES], examples.blurred, examples.blur_original),
        ("blur", examples.blur, examples.blurred, examples.blur_original),
        ("blown", examples.blown, examples.blown_out, examples.blown_original),
    ):
        test = original % _FOLDS == 0
        figures[name] = errors(fit(features[~test], bad[~test], settings[name]), features[test], bad[test])
        gates[name] = fit(features, bad, settings[name])
    return gates, figures


def save_gates(gates: dict[str, Gate], path: Path) -> None:
    """Write the gates as `pipeline.gate.load_gate` reads them, the hidden weights in half precision."""
    tensors = {f"{name}.{part}": getattr(gate, part) for name, gate in gates.items() for part in PARTS}
    save_file(
        {key: array.astype(np.float16) if key.endswith("hidden") else array for key, array in tensors.items()}, path
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line of the recipe."""
    made = argparse.ArgumentParser(prog="python -m pipeline.training.gate", description=__doc__)
    made.add_argument("--data", type=Path, nargs="+", required=True, help="folders of good pictures; one set each")
    made.add_argument("--out", type=Path, required=True, help="folder for features, figures and weights")
    made.add_argument("--limit", type=int, default=250, help="pictures drawn from each folder")
    made.add_argument("--whole", nargs="*", default=[], help="names of folders of which every picture is used")
    made.add_argument("--drawn", type=int, default=60, help="drawn pictures of each kind")
    made.add_argument("--leave-out", nargs="*", default=[], help='ends of paths never used, "set/name.jpg"')
    made.add_argument("--processes", type=int, default=1)
    made.add_argument("--seed", type=int, default=1)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the pictures if that has not been done, then fit."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    started = time.monotonic()
    sets = gate_sets(options.data, options.limit, options.drawn, options.seed, options.leave_out, options.whole)
    examples = build_examples(sets, options.out / "features", options.processes)
    print(f"{len(examples.blur)} pictures for blur, {len(examples.blown)} for exposure", flush=True)
    settings = {name: replace(chosen, seed=options.seed) for name, chosen in SETTINGS.items()}
    gates, figures = train(examples, settings)
    save_gates(gates, options.out / WEIGHTS.name)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))
    print(f"{time.monotonic() - started:.0f} seconds: {options.out / WEIGHTS.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
