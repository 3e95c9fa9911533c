"""The embedder interface: facts without torch, pinned files, clear refusals, vectors independent of the batch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.backbones import BACKBONES
from pipeline.embedding import (
    COMPACT_NAME,
    MODELS_FOLDER,
    Embedder,
    EmbeddingSettings,
    ModelFacts,
    in_chunks,
    load_embedder,
    model_facts,
)
from store.errors import ModelError
from tests.patience import PATIENCE_SECONDS

WEIGHTS = MODELS_FOLDER / f"{COMPACT_NAME}.safetensors"
CARD = MODELS_FOLDER / f"{COMPACT_NAME}.json"


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(EmbeddingSettings(device="cpu", threads=1))


@pytest.fixture(scope="module")
def pictures(embedder: Embedder) -> NDArray[np.uint8]:
    """Forty smooth random pictures."""
    import cv2

    rng = np.random.default_rng(3)
    side = (embedder.input_size, embedder.input_size)
    coarse = rng.integers(0, 256, (40, 9, 9, 3), dtype=np.uint8)
    return np.stack([cv2.resize(c, side, interpolation=cv2.INTER_CUBIC) for c in coarse]).astype(np.uint8)


def test_the_shipped_model_is_described_without_torch() -> None:
    code = (
        "import sys; from pipeline.embedding import EmbeddingSettings, model_facts;"
        "print(model_facts(EmbeddingSettings()).model_id); assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(COMPACT_NAME)


def test_card_and_weights_belong_together() -> None:
    card = json.loads(CARD.read_text(encoding="utf-8"))
    data = WEIGHTS.read_bytes()
    facts = model_facts(EmbeddingSettings())
    assert card["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) <= 12_000_000
    assert facts.model_id == card["model_id"] == f"{COMPACT_NAME}-{card['sha256'][:12]}"
    assert facts.dimension == card["dimension"] == 256
    assert 0 < facts.candidate_similarity < facts.similar_similarity < 1


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(ModelError) as caught:
        model_facts(EmbeddingSettings(model="resnet51"))
    assert COMPACT_NAME in caught.value.hint
    assert "resnet50" in caught.value.hint


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.safetensors"):
        load_embedder(EmbeddingSettings(weights=str(tmp_path / "absent.safetensors")))


@pytest.mark.parametrize("model", [COMPACT_NAME, "resnet50"])
def test_a_pinned_hash_is_checked_before_anything_is_loaded(model: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"not weights at all")
    with pytest.raises(ModelError, match="pinned"):
        model_facts(EmbeddingSettings(model=model, weights=str(path), sha256="0" * 64))


def test_a_right_pin_is_accepted() -> None:
    pin = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest().upper()
    assert model_facts(EmbeddingSettings(sha256=pin)).weights == WEIGHTS


NO_SHAPE = (20).to_bytes(8, "little") + b'{"__metadata__":{}}  '


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, NO_SHAPE])
def test_weights_of_another_model_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="does not hold weights"):
        load_embedder(EmbeddingSettings(weights=str(path)))


def test_weights_whose_card_names_another_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(WEIGHTS.read_bytes())
    path.with_suffix(".json").write_text(
        json.dumps(json.loads(CARD.read_text(encoding="utf-8")) | {"sha256": "ab" * 32}), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="pinned"):
        model_facts(EmbeddingSettings(weights=str(path)))


def test_vectors_have_unit_length(embedder: Embedder, pictures: NDArray[np.uint8]) -> None:
    vectors = embedder.embed(pictures)
    assert vectors.dtype == np.float32
    assert vectors.shape == (40, embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 32])
def test_a_vector_does_not_depend_on_its_batch(rows: int, embedder: Embedder, pictures: NDArray[np.uint8]) -> None:
    together = embedder.embed(pictures)
    parts = [embedder.embed(pictures[start : start + rows]) for start in range(0, len(pictures), rows)]
    assert np.array_equal(together, np.concatenate(parts))


def test_a_vector_does_not_depend_on_its_row(embedder: Embedder, pictures: NDArray[np.uint8]) -> None:
    order = np.random.default_rng(5).permutation(len(pictures))
    assert np.array_equal(embedder.embed(pictures[order]), embedder.embed(pictures)[order])


def test_a_processor_without_bfloat16_gets_the_same_vectors_in_float32(
    embedder: Embedder, pictures: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.embedding.bfloat16_pays", lambda _device: False)
    plain = load_embedder(EmbeddingSettings(device="cpu", threads=2))
    together = plain.embed(pictures)
    alone = np.concatenate([plain.embed(pictures[row : row + 1]) for row in range(len(pictures))])
    assert np.array_equal(together, alone)
    assert float((together * embedder.embed(pictures)).sum(axis=1).min()) > 0.999


def test_a_copy_is_nearer_than_a_stranger(embedder: Embedder, pictures: NDArray[np.uint8]) -> None:
    darker = (pictures * 0.8).astype(np.uint8)
    darker[:, : embedder.input_size // 20] = 0
    scores = embedder.embed(darker) @ embedder.embed(pictures).T
    assert (scores.argmax(axis=1) == np.arange(len(pictures))).mean() > 0.9


def test_glaring_pictures_are_told_apart(embedder: Embedder, pictures: NDArray[np.uint8]) -> None:
    # Before activations were bounded, anything orange enough had a cosine of 0.99 with anything else orange.
    ramp = np.linspace([60, 0, 0], [255, 190, 20], 256).astype(np.uint8)
    vectors = embedder.embed(ramp[pictures.mean(axis=3).astype(np.uint8)])
    strangers = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    assert float(strangers.max()) < 0.95


@pytest.mark.parametrize("shape", [(0, 64, 64, 3), (1, 64, 63, 3), (64, 64, 3), (1, 3, 64, 64)])
def test_a_wrong_batch_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="want uint8"):
        in_chunks(np.zeros(shape, np.uint8), 64)


def test_chunks_are_full_and_keep_the_order() -> None:
    batch = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    chunks = in_chunks(batch, 4, rows=4)
    assert [len(chunk) for chunk in chunks] == [4, 4, 4]
    assert np.array_equal(np.concatenate(chunks)[:10], batch)


@pytest.fixture
def random_weights(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        import torch
        from torchvision.models import get_model

        torch.manual_seed(0)
        net: Any = get_model(name, weights=None)
        torch.save(net.state_dict(), tmp_path / f"{name}.pth")
        return tmp_path / f"{name}.pth"

    return make


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_a_backbone_runs_from_a_local_file(name: str, random_weights: Callable[[str], Path]) -> None:
    path = random_weights(name)
    pin = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_embedder(EmbeddingSettings(model=name, weights=str(path), sha256=pin, device="cpu", threads=1))
    batch = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    vectors = loaded.embed(batch)
    assert vectors.shape == (3, BACKBONES[name].dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(loaded.embed(batch[1:2]), vectors[1:2])
    assert loaded.model_id == f"{name}-{pin[:12]}"


def test_a_backbone_refuses_weights_of_another(random_weights: Callable[[str], Path]) -> None:
    path = random_weights("squeezenet1_1")
    with pytest.raises(ModelError, match="mobilenet_v3_small"):
        load_embedder(EmbeddingSettings(model="mobilenet_v3_small", weights=str(path), device="cpu", threads=1))


class _Trap:
    """Unpickling this would create a file; reading weights must not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"weights": _Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(ModelError, match="neither safetensors"):
        load_embedder(EmbeddingSettings(model="resnet50", weights=str(tmp_path / "trap.pth"), device="cpu"))
    assert not (tmp_path / "sprung").exists()


def test_weights_out_of_reach_name_the_file_and_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def offline(*_arguments: Any, **_options: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError) as caught:
        model_facts(EmbeddingSettings(model="resnet50"))
    assert "resnet50-" in caught.value.hint
    assert str(tmp_path / "checkpoints") in caught.value.hint


def test_a_device_that_is_not_there_is_refused() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelError, match="cuda"):
        load_embedder(EmbeddingSettings(device="cuda"))


def test_facts_are_frozen() -> None:
    facts: ModelFacts = model_facts(EmbeddingSettings())
    with pytest.raises(AttributeError):
        facts.dimension = 3  # type: ignore[misc]
