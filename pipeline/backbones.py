"""Backbones by name: torchvision classification networks without their classifier, as embedders.

Input 224 × 224, ImageNet mean and deviation, features in front of the classifier, L2-normalised. None of them ships
with dedupd: the weights come from a local file or from torchvision's own download.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.embedding import (
    COMPACT_NAME,
    EmbeddingSettings,
    ModelFacts,
    check_pin,
    file_sha256,
    in_chunks,
    make_model_id,
)
from store.errors import ModelError

if TYPE_CHECKING:
    import torch

INPUT_SIZE: Final = 224
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Backbone:
    """State the dimension of the features and the cosines at which pairs become candidates or similar.

    Features after a ReLU (all but convnext) are non-negative, so unrelated pictures already share a cosine of 0.3
    to 0.6 and the thresholds sit high; deeper networks with more dimensions separate earlier. Starting points for
    calibration on one's own pictures, not measured here: the weights cannot be had where these defaults were set.
    """

    dimension: int
    candidate_similarity: float
    similar_similarity: float


BACKBONES: Final[dict[str, Backbone]] = {
    "resnet50": Backbone(2048, 0.75, 0.92),
    "mobilenet_v3_large": Backbone(960, 0.75, 0.92),
    "mobilenet_v3_small": Backbone(576, 0.78, 0.93),
    "convnext_tiny": Backbone(768, 0.65, 0.88),
    "convnext_small": Backbone(768, 0.65, 0.88),
    "convnext_base": Backbone(1024, 0.65, 0.88),
    "convnext_large": Backbone(1536, 0.65, 0.88),
    "squeezenet1_1": Backbone(512, 0.85, 0.95),
    "efficientnet_b0": Backbone(1280, 0.70, 0.90),
}


def backbone_facts(settings: EmbeddingSettings) -> ModelFacts:
    """Describe a backbone, fetching its weights into torchvision's cache if they are not there yet.

    Raises ModelError for an unknown name, weights that cannot be had, or a file that is not the pinned one.
    """
    backbone = BACKBONES.get(settings.model)
    if backbone is None:
        known = ", ".join((COMPACT_NAME, *BACKBONES))
        raise ModelError(f"unknown model '{settings.model}'", hint=f"[embedding] model is one of: {known}")
    path = Path(settings.weights).expanduser() if settings.weights else _cached_weights(settings.model)
    sha256 = file_sha256(path)
    check_pin(path, sha256, settings.sha256)
    return ModelFacts(
        settings.model,
        make_model_id(settings.model, sha256),
        backbone.dimension,
        INPUT_SIZE,
        backbone.candidate_similarity,
        backbone.similar_similarity,
        path,
    )


def _cached_weights(name: str) -> Path:
    """Return torchvision's default weights in its own cache, downloading them once with their hash checked."""
    import torch
    from torchvision.models import get_model_weights

    url = str(get_model_weights(name).DEFAULT.url)
    file_name = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if path.exists():
        return path
    prefix = file_name.removesuffix(".pth").rsplit("-", 1)[-1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} are not here and cannot be fetched ({error})",
            hint=f"put {file_name} at {path}, or name a local copy in [embedding] weights",
        ) from error
    return path


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors or a torch file, never running code from it.

    Raises ModelError where the file is neither.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(
            f"{path} is neither safetensors nor a plain torch weights file",
            hint="give the .safetensors or .pth file of a state dict; whole pickled models are refused",
        ) from error
    if isinstance(content, dict) and all(isinstance(value, torch.Tensor) for value in content.values()):
        return content
    raise ModelError(f"{path} holds no state dict", hint="save model.state_dict() and name that file")


def build_backbone(name: str, path: Path) -> torch.nn.Module:
    """Build the torchvision network `name` without its classifier and fill it from `path`."""
    import torch
    from torchvision.models import get_model

    net: Any = get_model(name, weights=None)
    tensors = read_tensors(path)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not hold weights of {name}",
            hint="check that [embedding] model and weights belong together",
        ) from error
    if name == "resnet50":
        net.fc = torch.nn.Identity()
    elif name == "squeezenet1_1":
        net.classifier = torch.nn.AdaptiveAvgPool2d(1)
    elif name.startswith("convnext"):
        net.classifier = net.classifier[:2]  # layer norm and flatten, without the linear layer
    else:
        net.classifier = torch.nn.Identity()
    module: torch.nn.Module = net.eval()
    return module


class BackboneEmbedder:
    """Run a torchvision network in float32 and return its normalised features."""

    def __init__(self, facts: ModelFacts, device: torch.device) -> None:
        import torch

        self.name = facts.name
        self.model_id = facts.model_id
        self.dimension = facts.dimension
        self.input_size = facts.input_size
        self.candidate_similarity = facts.candidate_similarity
        self.similar_similarity = facts.similar_similarity
        self._device = device
        self._net = build_backbone(facts.name, facts.weights).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(IMAGENET_MEAN, device=device).view(1, 3, 1, 1) * 255.0
        self._deviation = torch.tensor(IMAGENET_DEVIATION, device=device).view(1, 3, 1, 1) * 255.0

    def embed(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed RGB pixels `[n, 224, 224, 3]`, n ≥ 1, as float32 `[n, d]` with rows of unit length."""
        import torch

        rows: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for chunk in in_chunks(batch, self.input_size):
                pixels = torch.from_numpy(np.ascontiguousarray(chunk)).to(self._device).permute(0, 3, 1, 2)
                features = self._net((pixels.float() - self._mean) / self._deviation)
                rows.append(torch.nn.functional.normalize(features.flatten(1), dim=1).cpu().numpy())
        return np.concatenate(rows)[: len(batch)]
