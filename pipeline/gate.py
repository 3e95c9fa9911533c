"""The two small networks of the quality gate: one hidden layer each, evaluated with numpy.

They draw the line between good and bad through what `pipeline.octaves` and `pipeline.exposure` measure. How they were
made, and on what, stands in their card (`pipeline/models/QUALITY_CARD.md`).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Floats = NDArray[np.float32]

WEIGHTS = Path(__file__).parent / "models" / "dedupd-quality-1.safetensors"
LIMIT = 4.0  # standard deviations: beyond what was seen in training a network does not extrapolate


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A line between good and bad: `score` is above zero for bad, in units of the logarithm of the odds."""

    mean: Floats  # [features]
    scale: Floats  # [features], one over the standard deviation
    hidden: Floats  # [units, features]
    bias: Floats  # [units]
    output: Floats  # [units]
    offset: Floats  # [1]

    def score(self, features: Floats) -> float:
        """Return the score of one picture's features, float32 [features]."""
        standard = np.clip((features - self.mean) * self.scale, -LIMIT, LIMIT)
        return float(np.tanh(self.hidden @ standard + self.bias) @ self.output + self.offset[0])


@cache
def load_gate(name: str) -> Gate:
    """Read the network called "blur" or "blown" from the weights that ship with dedupd."""
    tensors = load_file(WEIGHTS)
    parts = ("mean", "scale", "hidden", "bias", "output", "offset")
    return Gate(**{part: tensors[f"{name}.{part}"] for part in parts})
