"""F26: pictures whose hashes say nothing: one pixel, one colour, gradients, square codes, screenshots of text.

No chequerboards, for a small one is a crop of a large one; no gradients that are mirror images of each other.
"""

import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.e2e.command import scan, write_config
from tests.faults.conftest import Record


def gradient(angle: float, colour: tuple[int, int, int], size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    ramp = (ramp - ramp.min()) / max(np.ptp(ramp), 1e-9)
    return np.asarray(ramp[..., None] * np.array(colour), np.uint8)


def screenshot(lines: int, seed: int) -> np.ndarray:
    page = np.full((480, 640, 3), 255, np.uint8)
    words = np.random.default_rng(seed).integers(0, 10**9, lines)
    for row, word in enumerate(words):
        where = (20, 30 + row * 22)
        cv2.putText(page, f"{word:,} items in list {seed}", where, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1)
    return page


def degenerate() -> dict[str, np.ndarray]:
    """All different pictures, none of which is a copy of another."""
    made = {}
    for number, colour in enumerate(product((0, 120, 250), repeat=3)):
        made[f"pixel-{number}"] = np.full((1, 1, 3), colour, np.uint8)
        made[f"flat-{number}"] = np.full((300 + number, 400, 3), colour, np.uint8)
    for number in range(6):
        made[f"gradient-{number}"] = gradient(0.1 + number * np.pi / 16, (255, 40 * number, 128), (320, 240))
    for seed in range(8):
        made[f"screenshot-{seed}"] = screenshot(20, seed)
    for seed in range(8):
        modules = np.random.default_rng(100 + seed).integers(0, 2, (25, 25)) * 255
        made[f"code-{seed}"] = np.repeat(np.kron(modules, np.ones((16, 16)))[..., None], 3, 2).astype(np.uint8)
    return made


@pytest.mark.fault(
    "F26",
    injected="single pixels, flat colours, gradients, square codes, screenshots of text",
    figure="false groups 0",
)
@pytest.mark.slow
def test_pictures_that_say_nothing_match_nothing(tmp_path: Path, record: Record) -> None:
    pictures = degenerate()
    (tmp_path / "in").mkdir()
    for name, pixels in pictures.items():
        cv2.imwrite(str(tmp_path / f"in/{name}.png"), pixels)
    config = write_config(
        tmp_path / "c.toml",
        quality={"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0, "min_tones": 0.0},
    )
    answer = scan(tmp_path / "in", "--output", tmp_path / "out", "--state", tmp_path / "state", "--config", config)
    entries = json.loads(Path(answer["log"]).read_text())["files"]
    wrong = [(Path(e["path"]).name, e["keeper"], e["evidence"]) for e in entries if e["verdict"] == "duplicate"]
    assert wrong == []
    assert answer["duplicates"] == 0
    record(len(pictures), 0, f"false groups 0 among {len(pictures)}; called similar {answer['similar']}")
