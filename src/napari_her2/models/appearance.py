"""How a small window of a slide looks, as numbers that do not depend on its place.

Two dyes in clear glass leave traces that are hard to mistake: absorption adds up
(Beer and Lambert), so that the optical densities of all pixels lie in a plane;
nuclei, membranes and fibres have their sizes; the sensor leaves its noise. The
numbers describe the colour of the tissue in a window and, over octaves from one
pixel up (Haar wavelets, Mallat 1989), how strong, how peaked, how clumped and how
directed its structure is and how the colours vary together. Turning or mirroring a
window by a right angle changes nothing.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

TISSUE_DENSITY: Final = 0.3
"""Least sum of the channels' optical densities of a pixel that holds tissue."""

LEVELS: Final = 6
_AT_ONCE = 2
_DARKEST = 1 / 255
_COLOUR_AT = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_HUE_AT = (0.02, 0.1, 0.5, 0.9, 0.98)
_CLUMP_CELLS = (4, 4, 4, 2)


def appearance(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Describe windows (N, 3, w, w) in [0, 1], w a multiple of 8, at least 64.

    Returns
    -------
    features
        (N, F). Values of octaves that the window is too small for are 0.
    tissue
        (N,), share of the window that holds tissue, in [0, 1].
    """
    # a few at a time: their maps stay in the processor's cache
    parts = [_described(some) for some in windows.split(_AT_ONCE)]
    features, tissue = (torch.cat(values) for values in zip(*parts, strict=True))
    return features, tissue


def _described(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Describe a few windows, see :func:`appearance`."""
    density = -windows.clamp(min=_DARKEST).log10()
    red, green, blue = density.unbind(1)
    # darkness, red against blue, and green against both
    mixed = torch.stack([red + green + blue, red - blue, green - (red + blue) / 2], 1)
    low, features, coarse = mixed, [], mixed
    for level in range(LEVELS):
        if min(low.shape[2:]) < 8:
            features.append(low.new_zeros(len(low), _octave_width(level)))
            continue
        low, across, down, diagonal = _haar(low)
        features.append(_octave(level, across, down, diagonal))
        if level == 1:
            coarse = low
        if 1 <= level <= 3:
            features.append(_skewness(low[:, 0].flatten(1)))
    colour, tissue = _colour(coarse)
    return torch.cat([*features, colour], 1), tissue


def _haar(image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the mean and the three differences of every block of 2 x 2 pixels."""
    a, b = image[..., ::2, ::2], image[..., ::2, 1::2]
    c, d = image[..., 1::2, ::2], image[..., 1::2, 1::2]
    top, bottom = a + b, c + d
    left, right = a - b, c - d
    return (
        (top + bottom) / 4,
        (left + right) / 4,
        (top - bottom) / 4,
        (left - right) / 4,
    )


def _octave_width(level: int) -> int:
    return 9 + 3 * (level < LEVELS - 1) + 2 * (level < len(_CLUMP_CELLS))


def _octave(level: int, across: Tensor, down: Tensor, diagonal: Tensor) -> Tensor:
    """Describe one octave of differences, each (N, 3, h, w)."""
    energy = (across**2 + down**2).flatten(2).mean(2) / 2
    strength = energy.sqrt()
    oblique = (diagonal**2).flatten(2).mean(2).sqrt()
    parts = [
        (strength + 5e-4).log(),
        ((oblique + 3e-4) / (strength + 5e-4)).log(),
    ]
    if level < LEVELS - 1:
        fourth = (across**4 + down**4).flatten(2).mean(2) / 2
        parts.append((0.5 + fourth / (energy**2 + 1e-12)).log())
    one, other = [0, 0, 1], [1, 2, 2]
    product = across[:, one] * across[:, other] + down[:, one] * down[:, other]
    expected = strength[:, one] * strength[:, other] * 2 + 1e-9
    parts.append(product.flatten(2).mean(2) / expected)
    if level < len(_CLUMP_CELLS):
        parts.append(_clumps(across[:, :1], down[:, :1], _CLUMP_CELLS[level]))
    return torch.cat(parts, 1)


def _clumps(across: Tensor, down: Tensor, cell: int) -> Tensor:
    """Tell how unevenly structure is spread and how far it has one direction."""
    xx, yy, xy = (
        functional.avg_pool2d(product, cell).flatten(1)
        for product in (across**2, down**2, across * down)
    )
    energy = xx + yy
    spread = (energy.std(1) / (energy.mean(1) + 1e-8) + 0.05).log()
    directed = ((xx - yy) ** 2 + 4 * xy**2).sqrt().sum(1) / (energy.sum(1) + 1e-8)
    return torch.stack([spread, directed], 1)


def _skewness(values: Tensor) -> Tensor:
    rest = values - values.mean(1, keepdim=True)
    scale = values.std(1) ** 3 + 1e-6
    return ((rest**3).mean(1) / scale).clamp(-5, 5)[:, None]


def _colour(mixed: Tensor) -> tuple[Tensor, Tensor]:
    """Describe density, hue and the plane of the two dyes on tissue pixels."""
    total, red_blue, green_rest = mixed.flatten(2).unbind(1)
    green = total / 3 + green_rest * 2 / 3
    rest = total - green
    density = torch.stack([(rest + red_blue) / 2, green, (rest - red_blue) / 2], 1)
    weight = (total > TISSUE_DENSITY).to(total.dtype)
    count = weight.sum(1).clamp(min=1)
    hue = torch.stack([red_blue, green_rest], 1) / (total[:, None] + 0.05)

    mean_hue = (hue * weight[:, None]).sum(2) / count[:, None]
    off = (hue - mean_hue[:, :, None]) * weight[:, None]
    hue_spread = ((off**2).sum(2) / count[:, None]).sqrt()
    mean = (density * weight[:, None]).sum(2) / count[:, None]
    about_mean = (density - mean[:, :, None]) * weight[:, None]
    about_glass = density * weight[:, None]
    parts = [
        (_quantiles(density, weight, _COLOUR_AT) + 0.02).log(),
        _quantiles(hue, weight, _HUE_AT),
        (hue_spread + 0.003).log(),
        _axes(about_mean, count),
        _axes(about_glass, count)[:, :2],
    ]
    return torch.cat(parts, 1), weight.mean(1)


def _quantiles(values: Tensor, weight: Tensor, at: tuple[float, ...]) -> Tensor:
    """Return quantiles (N, len(at) * C) of the pixels (N, C, P) of weight 1."""
    count = weight.sum(1).long()
    outside = (weight == 0)[:, None].expand_as(values)
    ordered = values.masked_fill(outside, torch.inf).sort(2).values
    share = torch.tensor(at, device=values.device, dtype=values.dtype)
    rank = (share * (count.clamp(min=1) - 1)[:, None]).round().long()
    picked = ordered.gather(2, rank[:, None].expand(-1, values.shape[1], -1))
    return picked.masked_fill((count == 0)[:, None, None], 0).flatten(1)


def _axes(points: Tensor, count: Tensor) -> Tensor:
    """Return the spread along the axes of points (N, 3, P), least first, and them.

    Of the axes the least and the largest are given, by their red and blue parts.
    """
    moments = (points @ points.transpose(1, 2) / count[:, None, None]).double()
    floor = torch.eye(3, dtype=moments.dtype, device=moments.device) * 1e-9
    # three by three is faster on the CPU, and the same on every machine
    spread, axes = torch.linalg.eigh((moments + floor).cpu())
    least, largest = axes[:, :, 0], axes[:, :, 2]
    least = least * torch.where(least[:, 1:2] < 0, -1.0, 1.0)
    largest = largest * torch.where(largest.sum(1, keepdim=True) < 0, -1.0, 1.0)
    logs = (spread + torch.tensor([1e-6, 1e-5, 1e-5])).log()
    found = torch.cat([logs, least[:, ::2], largest[:, ::2]], 1)
    return found.to(points)
