"""A generator as a backend runs it: from a tile in [0, 1] to grey values of its core.

The result is the generator's own, up to the rounding of sums. Two things are done
differently, because they make the same numbers with less work:

* BatchNorm is folded into the convolutions, and the borders of the tile, which the
  halo keeps away from the core, are padded with zeros and cut off early.
* A narrow generator spends most of its time in layers of a dozen channels at full
  resolution, which leave most of a processor's vector lanes empty. They are computed
  on maps of half the side and four times the channels (space to depth), with the
  kernels rearranged accordingly. Wide generators run as they are.
"""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_her2.models.generator import Generator, ResidualBlock
from napari_her2.models.network import to_uint8

NARROW = 16
"""Generators of at most this width run on rearranged maps."""

_MARGIN = 4
"""Pixels kept beside the core for the last layer, which looks 3 px far."""


def core_translator(generator: Generator, halo_px: int) -> nn.Module:
    """Return a module from tiles (B, 3, T, T) in [0, 1] to cores, uint8.

    The halo must cover the generator's receptive field.
    """
    width = cast("nn.Conv2d", generator.head[1]).out_channels
    if width <= NARROW and generator.multi_scale and halo_px > _MARGIN:
        return RearrangedTranslator(generator, halo_px).eval()
    return PlainTranslator(generator, halo_px).eval()


class PlainTranslator(nn.Module):
    """The generator as it is, cut to the core and rounded to grey values."""

    def __init__(self, generator: Generator, halo_px: int) -> None:
        super().__init__()
        # of its own, so that another precision changes no other network
        self.generator, self.halo_px = deepcopy(generator), halo_px

    def forward(self, image: Tensor) -> Tensor:
        """Translate tiles, see :func:`core_translator`."""
        dtype = next(self.generator.parameters()).dtype
        translated = self.generator((image * 2 - 1).to(dtype))
        return to_uint8(_cut(translated, self.halo_px).float())


class RearrangedTranslator(nn.Module):
    """A multi-scale generator on maps rearranged from space to depth."""

    def __init__(self, generator: Generator, halo_px: int) -> None:
        super().__init__()
        self.halo_px = halo_px
        head = list(generator.head)[1:3]
        down, down2, up, up2 = (
            list(cast("nn.Sequential", layers))[:2]
            for layers in (*generator.downs, *generator.ups)
        )
        skip, skip2 = (cast("nn.Conv2d", layer) for layer in generator.skips)
        tail = cast("nn.Conv2d", generator.tail[1])
        self.head = _on_halves(*_folded(*head))
        self.down = _down_on_halves(*_folded(*down))
        self.down2 = _Conv(*_folded(*down2), (1, 1), stride=2)
        self.blocks = nn.Sequential(
            *(_Block(cast("ResidualBlock", block)) for block in generator.blocks)
        )
        self.up = _Up(*_folded(*up))
        self.up2 = _up_to_depth(*_folded(*up2))
        self.skip, self.kept = (_Conv(*part) for part in _parts(skip))
        self.skip2, self.kept2 = (_on_halves(*part) for part in _parts(skip2))
        self.tail = _on_halves(tail.weight, cast("Tensor", tail.bias))
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Translate tiles, see :func:`core_translator`."""
        halves = functional.pixel_unshuffle(image * 2 - 1, 2)
        whole = torch.relu(self.head(halves.to(self.head.weight.dtype)))
        half = torch.relu(self.down(whole))
        features = self.blocks(torch.relu(self.down2(half)))
        # a sum of two convolutions is one of what both read, without joining it
        features = self.skip(torch.relu(self.up(features))) + self.kept(half)
        away = (self.halo_px - _MARGIN) // 2
        features = torch.relu(self.up2(_cut(features, away)))
        features = self.skip2(features) + self.kept2(_cut(whole, away))
        translated = torch.tanh(_cut(self.tail(features), _MARGIN // 2).float())
        return to_uint8(functional.pixel_shuffle(translated, 2))


class _Conv(nn.Module):
    """A convolution with zeros before and after each side of the map."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        zeros: tuple[int, int] = (0, 0),
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.zeros, self.stride, self.dilation = zeros, stride, dilation

    def forward(self, features: Tensor) -> Tensor:
        padding, after = self.zeros
        if padding != after:
            features = functional.pad(features, (padding, after, padding, after))
            padding = 0
        return functional.conv2d(
            features, self.weight, self.bias, self.stride, padding, self.dilation
        )


class _Up(_Conv):
    """The transposed 3x3 convolution of stride 2."""

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv_transpose2d(
            features, self.weight, self.bias, stride=2, padding=1, output_padding=1
        )


class _Block(nn.Module):
    """A residual block with folded BatchNorm and zero padding."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for branch in block.branches:
            conv, norm = list(cast("nn.Sequential", branch))[1:]
            reach = cast("nn.Conv2d", conv).dilation[0]
            self.branches.append(
                _Conv(*_folded(conv, norm), (reach, reach), dilation=reach)
            )
        self.merge = _Conv(*_folded(block.merge[1], block.merge[2]), (1, 1))
        weight = cast("Any", block.attention).conv.weight
        self.attention = _Conv(weight, weight.new_zeros(1), (3, 3))

    def forward(self, features: Tensor) -> Tensor:
        hidden = reduce(torch.add, (torch.relu(b(features)) for b in self.branches))
        residual: Tensor = self.merge(hidden)
        pooled = torch.cat(
            [residual.mean(1, keepdim=True), residual.amax(1, keepdim=True)], 1
        )
        return features + residual * torch.sigmoid(self.attention(pooled))


def _cut(image: Tensor, away: int) -> Tensor:
    return image[..., away:-away, away:-away]


def _folded(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution followed by frozen BatchNorm."""
    layer, frozen = cast("nn.Conv2d", conv), cast("Any", norm)
    scale = frozen.weight / (frozen.running_var + frozen.eps).sqrt()
    bias = frozen.bias - frozen.running_mean * scale
    if layer.bias is not None:
        bias = bias + layer.bias * scale
    transposed = isinstance(conv, nn.ConvTranspose2d)
    shape = (1, -1, 1, 1) if transposed else (-1, 1, 1, 1)
    return layer.weight * scale.view(shape), bias


def _parts(skip: nn.Conv2d) -> tuple[tuple[Tensor, Tensor], ...]:
    """Split a 1x1 convolution of two joined maps into one of each."""
    first, second = skip.weight.chunk(2, 1)
    bias = cast("Tensor", skip.bias)
    return (first, bias), (second, torch.zeros_like(bias))


def _on_halves(weight: Tensor, bias: Tensor) -> _Conv:
    """Rearrange a stride-1 convolution (O, I, k, k), k odd, to maps of half the side.

    Channel c of pixel (2 y + p, 2 x + q) becomes channel 4 c + 2 p + q of (y, x).
    """
    outputs, inputs, size, _ = weight.shape
    reach = size // 2
    low, high = -reach // 2, (1 + reach) // 2
    side = high - low + 1
    spread = weight.new_zeros(outputs, 2, 2, inputs, 2, 2, side, side)
    for p, q, y, x in product(range(2), range(2), range(size), range(size)):
        (row, i), (col, j) = divmod(p + y - reach, 2), divmod(q + x - reach, 2)
        spread[:, p, q, :, i, j, row - low, col - low] = weight[:, :, y, x]
    return _Conv(
        spread.reshape(4 * outputs, 4 * inputs, side, side),
        bias.repeat_interleave(4),
        (-low, high),
    )


def _down_on_halves(weight: Tensor, bias: Tensor) -> _Conv:
    """Rearrange a 3x3 convolution of stride 2 to maps of half the side."""
    outputs, inputs = weight.shape[:2]
    spread = weight.new_zeros(outputs, inputs, 2, 2, 2, 2)
    for y, x in product(range(3), range(3)):
        (row, i), (col, j) = divmod(y - 1, 2), divmod(x - 1, 2)
        spread[:, :, i, j, row + 1, col + 1] = weight[:, :, y, x]
    return _Conv(spread.reshape(outputs, 4 * inputs, 2, 2), bias, (1, 0))


def _up_to_depth(weight: Tensor, bias: Tensor) -> _Conv:
    """Rearrange a transposed 3x3 convolution (I, O, 3, 3) of stride 2.

    What it puts at pixel (2 y + p, 2 x + q) stands in channel 4 c + 2 p + q of
    (y, x).
    """
    inputs, outputs = weight.shape[:2]
    spread = weight.new_zeros(outputs, 2, 2, inputs, 2, 2)
    for p, q, y, x in product(range(2), range(2), range(3), range(3)):
        (row, odd_row), (col, odd_col) = divmod(p + 1 - y, 2), divmod(q + 1 - x, 2)
        if not odd_row and not odd_col:
            spread[:, p, q, :, row, col] = weight[:, :, y, x].T
    return _Conv(
        spread.reshape(4 * outputs, inputs, 2, 2), bias.repeat_interleave(4), (0, 1)
    )
