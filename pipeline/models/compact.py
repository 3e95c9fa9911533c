"""The network that ships with dedupd: a small residual net for copy detection.

A plain ResNet in the sense of He et al. 2015 with a patchifying stem, generalised-mean pooling
(Radenović et al. 2018) and a linear descriptor head, L2-normalised. Importing this module imports torch,
so only `pipeline.embedding` (inside functions) and `pipeline.training` do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

GEM_POWER = 3.0
# ImageNet statistics are of no use here: centre and scale so that a typical photo has unit variance.
PIXEL_MEAN = 118.0
PIXEL_SCALE = 64.0


@dataclass(frozen=True, slots=True)
class CompactShape:
    """Describe the layers: stem patch side in pixels, channels and residual blocks of each stage."""

    patch: int = 4
    widths: tuple[int, ...] = (32, 96, 192, 320)
    depths: tuple[int, ...] = (1, 1, 2, 2)
    dimension: int = 256


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut; the first may halve the picture.

    Activations stop at 6 (ReLU6): without a bound, glaring orange pictures ran up to a hundred times the usual
    values from block to block, all pointing the same way, and spoilt the batch statistics for everything else.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(channels_out)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.project: nn.Module = nn.Identity()
        self.project_norm: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.project = nn.Conv2d(channels_in, channels_out, 1, bias=False)
            self.project_norm = nn.BatchNorm2d(channels_out)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map `[n, channels_in, h, w]` to `[n, channels_out, h/stride, w/stride]`."""
        inner = functional.relu6(self.norm1(self.conv1(pixels)), inplace=True)
        inner = self.norm2(self.conv2(inner))
        shortcut = self.project_norm(self.project(self.pool(pixels)))
        return functional.relu6(inner + shortcut, inplace=True)


class CompactNet(nn.Module):
    """Map uint8 or float pixels `[n, 3, s, s]` (0–255) to L2-normalised float32 `[n, dimension]`."""

    def __init__(self, shape: CompactShape | None = None) -> None:
        super().__init__()
        self.shape = shape or CompactShape()
        widths, depths = self.shape.widths, self.shape.depths
        self.stem = nn.Conv2d(3, widths[0], self.shape.patch, self.shape.patch, bias=False)
        self.stem_norm: nn.Module = nn.BatchNorm2d(widths[0])
        blocks: list[nn.Module] = []
        channels = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for index in range(depth):
                blocks.append(ResidualBlock(channels, width, 2 if index == 0 and stage > 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, self.shape.dimension)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Return the pooled float32 features `[n, widths[-1]]` in front of the head."""
        dtype = self.stem.weight.dtype
        inputs = ((pixels.to(torch.float32) - PIXEL_MEAN) / PIXEL_SCALE).to(dtype)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        features = functional.relu6(self.stem_norm(self.stem(inputs)), inplace=True)
        features = self.blocks(features).float()
        # x * x * x instead of pow(): the features are ≥ 0 after the last ReLU and pow() is slow.
        cubes = (features * features * features).mean(dim=(2, 3))
        pooled: Tensor = (cubes + 1e-6).pow(1.0 / GEM_POWER)
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed pixels; rows have unit length."""
        features = self.pooled(pixels)
        # The descriptor itself stays in float32 whatever the convolutions run in.
        with torch.autocast(features.device.type, enabled=False):
            return functional.normalize(self.head(features.float()), dim=1)


def folded(net: CompactNet) -> CompactNet:
    """Fold every batch norm of `net` into its convolution, in place, and return it in evaluation mode."""
    net.eval()
    net.stem, net.stem_norm = _fused(net.stem, net.stem_norm), nn.Identity()
    for block in net.blocks:
        assert isinstance(block, ResidualBlock)
        block.conv1, block.norm1 = _fused(block.conv1, block.norm1), nn.Identity()
        block.conv2, block.norm2 = _fused(block.conv2, block.norm2), nn.Identity()
        if isinstance(block.project, nn.Conv2d):
            block.project, block.project_norm = _fused(block.project, block.project_norm), nn.Identity()
    return net


def _fused(convolution: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)
