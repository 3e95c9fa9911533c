"""F48: any order of everything, against a model of what a person knows (`tests.laws.test_model`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Record

STEPS = 10_000


@pytest.mark.fault(
    "F48",
    injected="ingest, edit, delete, rename, rule, new thresholds, undo, purge, crash and restart in any order",
    figure="counter-examples 0 in 10,000 steps",
)
@pytest.mark.slow
@pytest.mark.timeout(1800 + STEPS)
def test_any_life_keeps_the_laws(record: Record) -> None:
    command = [sys.executable, "-m", "pytest", "tests/laws/test_model.py", "-p", "no:cacheprovider", "-q"]
    environment = os.environ | {"DEDUPD_MODEL_STEPS": str(STEPS)}
    environment.pop("DEDUPD_FAULTS_TABLE", None)
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert re.search(r"\b1 passed\b|^\.", done.stdout, re.MULTILINE), done.stdout
    record(STEPS, 0, f"counter-examples 0 in {STEPS} steps")
