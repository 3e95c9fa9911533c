"""Train the compact network: `python -m pipeline.training --data DIR… --out DIR --minutes N`.

Run it again with the same `--out` to go on after an interruption. Every run appends to `OUT/log.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.training.train import NetPlan


def parser() -> argparse.ArgumentParser:
    """Return the command line of the recipe."""
    made = argparse.ArgumentParser(prog="python -m pipeline.training", description=__doc__)
    made.add_argument("--data", type=Path, nargs="+", required=True, help="folders of pictures; one set each")
    made.add_argument("--out", type=Path, required=True, help="folder for pack, checkpoints, log and weights")
    made.add_argument("--minutes", type=float, default=95.0, help="training time, all resumed runs together")
    made.add_argument("--leave-out", nargs="*", default=[], help="names of sets never trained on")
    made.add_argument("--threads", type=int, default=1, help="threads of the training process")
    made.add_argument("--processes", type=int, default=2, help="augmentation processes")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("--bases", type=int, default=128, help="pictures per batch, each in three views")
    made.add_argument(
        "--rivals", type=float, default=0.0, help="share of a batch in pairs of different pictures of one scene"
    )
    made.add_argument("--queue", type=int, default=8192, help="earlier keys that serve as strangers")
    made.add_argument("--learning-rate", type=float, default=1.5e-3)
    made.add_argument("--freeze-at", type=float, default=0.7, help="share of the time with batch statistics of its own")
    made.add_argument("--last-momentum", type=float, default=0.996, help="of the moving average, at the end")
    made.add_argument(
        "--net",
        type=net_plan,
        action="append",
        metavar="NAME:SIDE[:WIDTHS:DEPTHS][@WEIGHTS]",
        help="a network to train, as in wide:128:48,96,192,320:0,1,2,2; @FILE goes on from weights; "
        "several learn from the same batches (default: net:96)",
    )
    return made


def net_plan(text: str) -> NetPlan:
    """Read NAME:SIDE[:WIDTHS:DEPTHS][@WEIGHTS]."""
    from pipeline.models.compact import CompactShape
    from pipeline.training.train import NetPlan

    layers, _, weights = text.partition("@")
    name, side, *rest = layers.split(":")
    shape = CompactShape()
    if rest:
        widths, depths = (tuple(int(number) for number in part.split(",")) for part in rest)
        shape = CompactShape(widths=widths, depths=depths)
    return NetPlan(name, int(side), shape, weights or None)


def chosen_sets(data: Sequence[Path], leave_out: Sequence[str]) -> list[Path]:
    """Return the set folders: the folders given, or their subfolders where they hold only folders."""
    sets: list[Path] = []
    for folder in data:
        inner = sorted(path for path in folder.iterdir() if path.is_dir())
        sets.extend(inner if inner and not any(path.is_file() for path in folder.iterdir()) else [folder])
    return [folder for folder in sets if folder.name not in leave_out]


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack the pictures if that has not been done, then train."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    import torch

    from pipeline.training.data import BatchPlan, build_pack
    from pipeline.training.train import NetPlan, TrainingSettings, run

    # A polite kill ends the run as Ctrl-C does: workers stopped, checkpoint written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    torch.set_num_threads(options.threads)
    pack = options.out / "pack"
    if not (pack / "pixels.bin").exists():
        build_pack(chosen_sets(options.data, options.leave_out), pack)
    settings = TrainingSettings(
        minutes=options.minutes,
        seed=options.seed,
        processes=options.processes,
        device=options.device,
        queue_size=options.queue,
        learning_rate=options.learning_rate,
        freeze_at=options.freeze_at,
        last_momentum=options.last_momentum,
        plan=BatchPlan(bases=options.bases, rival_share=options.rivals),
        nets=tuple(options.net) if options.net else (NetPlan(),),
    )
    state = run(pack, options.out, settings)[0]
    print(f"{state.step} steps in {state.trained_seconds / 60:.0f} minutes: {options.out} holds snapshot.safetensors")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
