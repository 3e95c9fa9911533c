"""The small networks of the quality gate: one hidden layer each, evaluated with numpy.

They draw the line between good and bad through what `pipeline.octaves`, `pipeline.spectrum` and `pipeline.exposure`
measure. How they were made, and on what, stands in their card (`pipeline/models/QUALITY_CARD.md`).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from pipeline.spectrum import turned

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

WEIGHTS = Path(__file__).parent / "models" / "dedupd-quality-1.safetensors"
PARTS = ("mean", "scale", "hidden", "bias", "output", "offset")
LIMIT = 4.0  # standard deviations: beyond what was seen in training a network does not extrapolate
TURNS = 8  # and as many of the mirror image: a shaken picture is one whichever way the camera was held


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A line between good and bad: `score` is above zero for bad, in units of the logarithm of the odds."""

    mean: Floats  # [features]
    scale: Floats  # [features], one over the standard deviation
    hidden: Floats  # [units, features]
    bias: Floats  # [units]
    output: Floats  # [units]
    offset: Floats  # [1]
    turns: Places | None = None  # [views, n]: where the last n features come from, seen from other sides

    def score(self, features: Floats) -> float:
        """Return the score of one picture's features, float32 [features]: the mean over all views of it."""
        standard = np.clip((features - self.mean) * self.scale, -LIMIT, LIMIT)
        if self.turns is None:
            return float(np.tanh(self.hidden @ standard + self.bias) @ self.output + self.offset[0])
        still = len(standard) - self.turns.shape[1]
        views = standard[still:][self.turns] @ self.hidden[:, still:].T  # [views, units]
        units = np.tanh(views + self.hidden[:, :still] @ standard[:still] + self.bias)
        return float(units.mean(0) @ self.output + self.offset[0])


@cache
def load_gate(name: str) -> Gate:
    """Read the network called "glance", "blur" or "blown" from the weights that ship with dedupd."""
    tensors = load_file(WEIGHTS)
    parts = {part: np.asarray(tensors[f"{name}.{part}"], np.float32) for part in PARTS}
    return Gate(**parts, turns=turned(TURNS) if name == "blur" else None)
