"""What the attention module weighed in a region, in figures a dock can print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_her2.core.region import Region
from napari_her2.inference.store import ResultStore

N_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class RegionEvidence:
    """Means over the finished tiles of a region.

    ``he_share`` is the share of the H&E branch, 0 to 1; ``channels`` pairs the
    index of the strongest attention channels with their mean weight, 0 to 1.
    """

    n_tiles: int
    he_share: float
    channels: tuple[tuple[int, float], ...]

    @property
    def sentence(self) -> str:
        """One line for the result card."""
        channels = ", ".join(str(index) for index, _ in self.channels)
        return f"H&E branch {self.he_share:.0%} · strongest channels {channels}"


def evidence_in(store: ResultStore, region: Region) -> RegionEvidence | None:
    """Return what weighed in a region, None while no tile of it is done."""
    tiles = [tile for tile in store.grid.tiles_in(region) if store.is_done(tile)]
    shares, weights = store.map("branch_share"), store.map("channel_weights")
    if not tiles or shares is None or weights is None:
        return None
    rows, columns = (list(axis) for axis in zip(*tiles, strict=True))
    mean_weights = weights[rows, columns].mean(axis=0)
    strongest = np.argsort(mean_weights)[::-1][:N_CHANNELS]
    return RegionEvidence(
        len(tiles),
        float(shares[rows, columns].mean()),
        tuple((int(index), float(mean_weights[index])) for index in strongest),
    )
