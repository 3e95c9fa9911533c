"""F25: the model's file is replaced by something else."""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.embedding import EmbeddingSettings, load_embedder, model_facts
from store.errors import ModelError
from tests.faults.conftest import Record


class Trap:
    """Unpickling this leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def _payloads(folder: Path) -> dict[str, bytes]:
    import torch

    sprung = folder / "sprung"
    torch.save({"weights": Trap(sprung)}, folder / "torch")
    old = folder / "old"
    torch.save({"weights": Trap(sprung)}, old, _use_new_zipfile_serialization=False)
    header = json.dumps({"__metadata__": {"a": "b"}}).encode()
    return {
        "pickle": pickle.dumps(Trap(sprung), protocol=2),
        "torch zip": (folder / "torch").read_bytes(),
        "torch pickle": old.read_bytes(),
        "empty": b"",
        "html": b"<html>404</html>",
        "no tensors": len(header).to_bytes(8, "little") + header,
        "endless header": (1 << 60).to_bytes(8, "little") + b"{" * 1000,
    }


@pytest.mark.fault(
    "F25", injected="pickles, torch files with a payload and nonsense in place of weights", figure="marker files 0"
)
@pytest.mark.parametrize("model", ["compact", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_no_file_in_the_place_of_weights_runs(tmp_path: Path, record: Record, model: str) -> None:
    payloads = _payloads(tmp_path)
    for name, content in payloads.items():
        for ending in ("safetensors", "pth"):
            path = tmp_path / f"{name}.{ending}"
            path.write_bytes(content)
            settings = EmbeddingSettings(model=model, weights=str(path), device="cpu", threads=1)
            with pytest.raises(ModelError) as caught:
                load_embedder(settings)
            assert caught.value.hint
            with pytest.raises(ModelError):
                model_facts(replace(settings, sha256="0" * 64))
    assert not (tmp_path / "sprung").exists()
    record(2 * len(payloads), 0, f"{model}: marker files 0/{2 * len(payloads)}")
