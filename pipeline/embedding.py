"""Pictures → vectors: the embedder interface, its settings, and the network that ships with dedupd.

The only room (with `pipeline.backbones`, `pipeline.models.compact` and `pipeline.training`) that imports torch, and
only inside functions: importing this module costs nothing, and `model_facts` answers for the shipped model without
torch at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from store.errors import ModelError

if TYPE_CHECKING:
    import torch

    from pipeline.models.compact import CompactNet

Device = Literal["auto", "cpu", "cuda", "mps"]

COMPACT_NAME: Final = "dedupd-compact-1"
MODELS_FOLDER: Final = Path(__file__).parent / "models"
# Convolution kernels may round differently for another batch size, so every call runs in chunks of exactly this
# many rows (the last one padded): a picture gets the same bits alone, in a batch of 7 or of 32.
CHUNK_ROWS: Final = 8
ID_HEX_DIGITS: Final = 12
MOST_AUTO_THREADS: Final = 4
MOST_HEADER_BYTES: Final = 1 << 20


class Embedder(Protocol):
    """Turn pictures into unit vectors whose cosine says how alike they are."""

    name: str
    model_id: str
    dimension: int
    input_size: int
    candidate_similarity: float
    similar_similarity: float

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed RGB pixels `[n, s, s, 3]`, n ≥ 1, as float32 `[n, d]` with rows of unit length."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """Choose a model; empty and None mean "as the model says"."""

    model: str = COMPACT_NAME
    weights: str = ""
    sha256: str = ""
    device: Device = "auto"
    threads: int = 1  # beside the decoding processes, a second one waits more than it works (docs/performance.md)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Hold what the daemon plans with before any network is loaded."""

    name: str
    model_id: str
    dimension: int
    input_size: int
    candidate_similarity: float
    similar_similarity: float
    weights: Path


def model_facts(settings: EmbeddingSettings) -> ModelFacts:
    """Describe the chosen model without loading it; the shipped one without importing torch.

    Raises ModelError for an unknown name, or a missing or altered file.
    """
    if settings.model == COMPACT_NAME:
        return _compact_facts(settings)
    from pipeline.backbones import backbone_facts

    return backbone_facts(settings)


def load_embedder(settings: EmbeddingSettings) -> Embedder:
    """Load the chosen model onto its device, ready to embed.

    Raises ModelError if the weights are missing, altered, or those of another model, or the device is absent.
    """
    facts = model_facts(settings)
    use_threads(settings.threads)
    if settings.model == COMPACT_NAME:
        return CompactEmbedder(facts, chosen_device(settings.device))
    from pipeline.backbones import BackboneEmbedder

    return BackboneEmbedder(facts, chosen_device(settings.device))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex; raises ModelError where it cannot be read."""
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"cannot read the weights {path}: {error.strerror or error}",
            hint="check [embedding] weights, or leave it empty to use the shipped model",
        ) from error


def check_pin(path: Path, found: str, wanted: str) -> None:
    """Raise ModelError unless the file's hash is the pinned one; an empty pin allows any."""
    if wanted and found != wanted.strip().lower():
        raise ModelError(
            f"{path} is not the file that was pinned: its SHA-256 is {found[:16]}…, wanted {wanted[:16]}…",
            hint="put the right file there, or change [embedding] sha256 if you replaced it on purpose",
        )


def make_model_id(name: str, sha256: str) -> str:
    """Return the id that is stored with every embedding: it changes when the weights change."""
    return f"{name}-{sha256[:ID_HEX_DIGITS]}"


def use_threads(threads: int) -> None:
    """Set the number of torch threads of this process; 0 takes the cores there are, at most four."""
    import torch

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(threads if threads > 0 else min(allowed, MOST_AUTO_THREADS))


def chosen_device(device: Device) -> torch.device:
    """Return the torch device meant; raises ModelError where it is not there."""
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if not available.get(device, False):
        raise ModelError(f"no device '{device}' on this machine", hint='set [embedding] device = "auto"')
    return torch.device(device)


def in_chunks(batch: NDArray[np.uint8], input_size: int, rows: int = CHUNK_ROWS) -> list[NDArray[np.uint8]]:
    """Check a batch and cut it into arrays of exactly `rows` rows; the last one is padded with zeros."""
    expected = (input_size, input_size, 3)
    if batch.ndim != 4 or batch.shape[1:] != expected or batch.dtype != np.uint8 or len(batch) == 0:
        raise ValueError(f"want uint8 [n ≥ 1, {input_size}, {input_size}, 3], got {batch.dtype} {list(batch.shape)}")
    chunks = [batch[start : start + rows] for start in range(0, len(batch), rows)]
    missing = rows - len(chunks[-1])
    if missing:
        chunks[-1] = np.concatenate([chunks[-1], np.zeros((missing, *expected), np.uint8)])
    return chunks


def bfloat16_pays(device: torch.device) -> bool:
    """Say whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, lambda: False)() for check in checks)


class CompactEmbedder:
    """Run the shipped network: batch norms folded, channels last, bfloat16 where the processor has it.

    The descriptor layer and the normalisation always run in float32. Mean cosine between the bfloat16 and the
    float32 embedding of a picture is above 0.9999 (`docs/accuracy.md`).
    """

    def __init__(self, facts: ModelFacts, device: torch.device) -> None:
        import torch

        self.name = facts.name
        self.model_id = facts.model_id
        self.dimension = facts.dimension
        self.input_size = facts.input_size
        self.candidate_similarity = facts.candidate_similarity
        self.similar_similarity = facts.similar_similarity
        self._device = device
        dtype = torch.bfloat16 if bfloat16_pays(device) else torch.float32
        net = load_compact(facts.weights)
        net = net.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.head.float()
        self._net = net

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed RGB pixels `[n, s, s, 3]`, n ≥ 1, as float32 `[n, d]` with rows of unit length."""
        import torch

        rows: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for chunk in in_chunks(batch, self.input_size):
                pixels = torch.from_numpy(np.ascontiguousarray(chunk)).to(self._device).permute(0, 3, 1, 2)
                rows.append(self._net(pixels).cpu().numpy())
        return np.concatenate(rows)[: len(batch)]


def load_compact(path: Path) -> CompactNet:
    """Read the compact network from safetensors, in float32, folded; raises ModelError if it is another model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from pipeline.models.compact import CompactNet, CompactShape, folded

    shape = compact_shape(path)
    net = CompactNet(CompactShape(**{**shape, "widths": tuple(shape["widths"]), "depths": tuple(shape["depths"])}))
    try:
        tensors = {name: value.float() for name, value in load_file(path).items()}
        missing, unexpected = net.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise _other_model(path) from error
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise _other_model(path)
    return folded(net)


def compact_shape(path: Path) -> dict[str, Any]:
    """Read the network's shape from the header of the weights file, without torch."""
    try:
        with path.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            if not 2 <= length <= MOST_HEADER_BYTES:
                raise _other_model(path)
            header = json.loads(source.read(length))
        shape: dict[str, Any] = json.loads(header["__metadata__"]["shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _other_model(path) from error
    if set(shape) != {"patch", "widths", "depths", "dimension"}:
        raise _other_model(path)
    return shape


def _compact_facts(settings: EmbeddingSettings) -> ModelFacts:
    shipped = MODELS_FOLDER / f"{COMPACT_NAME}.safetensors"
    path = Path(settings.weights).expanduser() if settings.weights else shipped
    sha256 = file_sha256(path)
    check_pin(path, sha256, settings.sha256)
    # Weights trained on a user's own pictures bring their own card; without one the shipped thresholds apply.
    beside = path.with_suffix(".json")
    card = _read_card(beside if beside.exists() else shipped.with_suffix(".json"))
    if beside.exists():
        check_pin(path, sha256, str(card.get("sha256", "")))
    dimension = int(compact_shape(path)["dimension"])
    candidate, similar = float(card["candidate_similarity"]), float(card["similar_similarity"])
    model_id = make_model_id(COMPACT_NAME, sha256)
    return ModelFacts(COMPACT_NAME, model_id, dimension, int(card["input_size"]), candidate, similar, path)


def _read_card(path: Path) -> dict[str, Any]:
    wanted = {"input_size", "candidate_similarity", "similar_similarity"}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the model card {path}", hint="install dedupd again") from error
    if not isinstance(card, dict) or not wanted <= set(card):
        raise ModelError(f"{path} is no model card", hint=f"it must hold {', '.join(sorted(wanted))}")
    return card


def _other_model(path: Path) -> ModelError:
    return ModelError(
        f"{path} does not hold weights of {COMPACT_NAME}",
        hint="give a file that `python -m pipeline.training` wrote, or leave [embedding] weights empty",
    )
