"""Whether an image is of the kind a bundle was trained on.

A tile is cut into fixed windows. Each window that holds tissue is described by
:func:`~napari_her2.models.appearance.appearance` and compared with windows of known
slides of the same stain, with as much tissue and of the same acquisition (as
rendered or resampled; saved as JPEG): every number is mapped to a normal
distribution by its known quantiles, and the Mahalanobis distance is taken with a
shrunk covariance (Ledoit and Wolf 2004). The distance over the threshold, set on
other known slides, is the unfamiliarity of a window; that of an image is the median
over its windows with most tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import torch
from torch import Tensor, nn

from napari_her2.core.score import Stain
from napari_her2.models.appearance import appearance

WINDOWS_PX: Final = (256, 128)
"""Sides of windows; the smaller ones are for images the larger do not fit into."""

TISSUE_SHARES: Final = (0.2, 0.03, 0.004)
"""Least share of tissue of a window with much, some and little of it."""

ACQUISITIONS: Final = ("plain", "jpeg")

MANY_WINDOWS: Final = 4
"""From this many windows on, their median is steady and has its own threshold."""

QUANTILES: Final = tuple((step + 0.5) / 41 for step in range(41))
"""Of every number in a group, between which it is mapped to a normal one."""

_STAINS: Final = (Stain.HE, Stain.IHC)
_FARTHEST: Final = 30.0
"""Standard deviations that one number may add to a distance."""
_TAIL: Final = 4
"""Knots from the end over which the slope beyond the last one is taken."""


class Familiarity(nn.Module):
    """Distances to known tissue, and what is too far.

    Parameters
    ----------
    knots
        (stains, window sizes, tissue shares, acquisitions, F, Q): the
        :data:`QUANTILES` of every number in a group of known windows.
    precision
        (..., F, F), inverse of the shrunk covariance of the mapped numbers.
    threshold
        (..., 2), distance beyond which one window, and the median of
        :data:`MANY_WINDOWS` or more, is unfamiliar. A group of which too little
        was known has thresholds 0 and calls nothing familiar.
    """

    knots: Tensor
    precision: Tensor
    threshold: Tensor

    def __init__(self, knots: Tensor, precision: Tensor, threshold: Tensor) -> None:
        super().__init__()
        width = knots.shape[-2]
        shapes = [
            (*GROUPS, width, len(QUANTILES)), (*GROUPS, width, width), (*GROUPS, 2),
        ]  # fmt: skip
        given = (knots, precision, threshold)
        if [tuple(tensor.shape) for tensor in given] != shapes:
            raise ValueError("the familiarity tensors do not fit each other")
        if not all(bool(tensor.isfinite().all()) for tensor in given):
            raise ValueError("a familiarity tensor holds values that are not finite")
        if bool((threshold < 0).any()) or bool((knots.diff(dim=-1) < 0).any()):
            raise ValueError("a threshold or the order of knots makes no sense")
        for name, tensor in zip(_TENSORS, given, strict=True):
            self.register_buffer(name, tensor.detach().clone().float())

    def distance(self, stain: Stain, image: Tensor) -> Tensor:
        """Return (B,), unfamiliarity of images (B, 3, h, w) in [0, 1]; 1 = threshold.

        NaN where an image is smaller than the smallest window or no window holds
        tissue.
        """
        px = window_px(*image.shape[2:])
        if px is None:
            return image.new_full((len(image),), torch.nan)
        features, tissue = appearance(cut_windows(image, px))
        count = len(features) // max(len(image), 1)
        found = [
            self.of_windows(stain, px, some, its_tissue)
            for some, its_tissue in zip(
                features.split(count), tissue.split(count), strict=True
            )
        ]
        return torch.tensor(found).to(image)

    def of_windows(
        self, stain: Stain, px: int, features: Tensor, tissue: Tensor
    ) -> float:
        """Return the unfamiliarity of one image by the windows cut from it.

        ``features`` (n, F) and ``tissue`` (n,) are those of all its windows of side
        ``px``; NaN when none holds tissue.
        """
        rank = tissue_rank(tissue)
        if not bool((rank >= 0).any()):
            return float("nan")
        best = int(rank[rank >= 0].min())
        chosen = features[rank == best]
        several = int(len(chosen) >= MANY_WINDOWS)
        ratios = []
        for acquisition in range(len(ACQUISITIONS)):
            group = (_STAINS.index(stain), WINDOWS_PX.index(px), best, acquisition)
            limit = float(self.threshold[group][several])
            if limit:
                each = distances(chosen, self.knots[group], self.precision[group])
                ratios.append(float(each.quantile(0.5)) / limit)
        # what nothing is known of cannot be called familiar
        return min(ratios, default=_UNKNOWN)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors for a bundle."""
        return {name: tensor.clone() for name, tensor in self.named_buffers()}

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], parameters: Mapping[str, Any] | None = None
    ) -> Self:
        """Build from what :meth:`state` wrote; ``parameters`` of the card are checked.

        Raises
        ------
        KeyError, ValueError
            If a tensor is missing or does not fit, or the card speaks of other
            windows.
        """
        for name, known in constants().items():
            told = (parameters or {}).get(name, known)
            if list(told) != known:
                raise ValueError(f"{name} is {told}, but this version uses {known}")
        return cls(*(state[name] for name in _TENSORS))


_TENSORS = ("knots", "precision", "threshold")
_UNKNOWN = 9.0

GROUPS: Final = (
    len(_STAINS), len(WINDOWS_PX), len(TISSUE_SHARES), len(ACQUISITIONS),
)  # fmt: skip
"""Stains, window sizes, amounts of tissue, acquisitions."""


def constants() -> dict[str, list[Any]]:
    """Return what a card must say so that the tensors keep their meaning."""
    return {
        "windows_px": list(WINDOWS_PX),
        "tissue_shares": list(TISSUE_SHARES),
        "acquisitions": list(ACQUISITIONS),
    }


def window_px(height: int, width: int) -> int | None:
    """Return the side of the windows for an image, None where none fits."""
    return next((px for px in WINDOWS_PX if px <= min(height, width)), None)


def cut_windows(images: Tensor, px: int) -> Tensor:
    """Cut images (B, 3, h, w) into windows (B * n, 3, px, px) about their middle."""
    rows, columns = images.shape[2] // px, images.shape[3] // px
    top = (images.shape[2] - rows * px) // 2
    left = (images.shape[3] - columns * px) // 2
    kept = images[:, :, top : top + rows * px, left : left + columns * px]
    blocks = kept.unflatten(2, (rows, px)).unflatten(4, (columns, px))
    windows: Tensor = blocks.permute(0, 2, 4, 1, 3, 5)
    return windows.reshape(-1, images.shape[1], px, px)


def tissue_rank(tissue: Tensor) -> Tensor:
    """Return how much tissue windows hold: 0 much, 1 some, 2 little, -1 none."""
    rank = torch.full_like(tissue, -1, dtype=torch.long)
    for level in reversed(range(len(TISSUE_SHARES))):
        rank[tissue >= TISSUE_SHARES[level]] = level
    return rank


def normal_scores(features: Tensor, knots: Tensor) -> Tensor:
    """Map numbers (n, F) to standard normal ones by their quantiles (F, Q).

    Between knots and beyond them the map is linear; float64.
    """
    values, at = features.double().T.contiguous(), knots.double().contiguous()
    normal = torch.special.ndtri(torch.tensor(QUANTILES, dtype=at.dtype)).to(at.device)
    place = torch.searchsorted(at, values).clamp(1, at.shape[1] - 1)
    low, high = at.gather(1, place - 1), at.gather(1, place)
    share = ((values - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    inner: Tensor = normal[place - 1] + share * (normal[place] - normal[place - 1])
    rise = normal[_TAIL] - normal[0]
    below = rise / (at[:, _TAIL] - at[:, 0]).clamp(min=1e-6)
    above = rise / (at[:, -1] - at[:, -1 - _TAIL]).clamp(min=1e-6)
    inner = inner + (values - at[:, :1]).clamp(max=0) * below[:, None]
    inner = inner + (values - at[:, -1:]).clamp(min=0) * above[:, None]
    return inner.clamp(-_FARTHEST, _FARTHEST).T


def distances(features: Tensor, knots: Tensor, precision: Tensor) -> Tensor:
    """Return Mahalanobis distances (n,) of numbers (n, F) to a group, float64."""
    scores = normal_scores(features, knots)
    return ((scores @ precision.double()) * scores).sum(1).clamp(min=0).sqrt()
