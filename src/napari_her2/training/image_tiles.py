"""Tiles cut from image pairs, read when they are needed.

An image gives one tile: its centre as the core and, around it, what the image
holds there or its mirror image, as the generator's own padding would see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError
from napari_her2.core.score import Stain
from napari_her2.training.pairs import ImagePair, PairListing

NO_LABEL = -1
_KEPT_PAIRS = 8


class PairTiles:
    """The tiles of a listing, as ``training.tiles.Tiles`` wants them.

    Parameters
    ----------
    listing
        Checked pairs.
    core_px, halo_px
        Geometry of a tile.

    Attributes
    ----------
    he, ihc
        Item i, or a window ``[i, rows, columns]`` of it, is uint8 (h, w, 3).
    labels
        int8 (n, 5), all five of an image equal, -1 without a label.
    slides
        int (n,): pairs of one slide share a number; a pair whose slide nobody
        knows has its own.
    knows_slides
        Whether every pair has a slide.
    splits
        (n,) ``train``, ``test`` or empty, as published.
    classes
        Names of the labels.
    """

    cells = None

    def __init__(self, listing: PairListing, core_px: int, halo_px: int) -> None:
        self.listing = listing
        self.core_px, self.halo_px = core_px, halo_px
        self.classes = listing.classes
        numbers = [
            NO_LABEL if p.label is None else self.classes.index(p.label)
            for p in listing.pairs
        ]
        self.labels = np.repeat(np.array(numbers, np.int8)[:, None], 5, 1)
        names = [pair.slide or f"\0{pair.name}" for pair in listing.pairs]
        self.slides = np.unique(names, return_inverse=True)[1].astype(np.int64)
        self.knows_slides = all(pair.slide for pair in listing.pairs)
        self.splits = np.array([pair.split or "" for pair in listing.pairs])
        read = lru_cache(_KEPT_PAIRS)(ImagePair.read)
        self.he: Any = _Images(listing.pairs, Stain.HE, read, core_px, halo_px)
        self.ihc: Any = _Images(listing.pairs, Stain.IHC, read, core_px, halo_px)

    def __len__(self) -> int:
        return len(self.listing.pairs)

    @property
    def labelled(self) -> NDArray[np.intp]:
        """Indices of the tiles that have a label."""
        return np.flatnonzero(self.labels[:, 0] != NO_LABEL)


class _Images:
    """One stain of all pairs, indexed like an array (n, tile, tile, 3)."""

    def __init__(
        self,
        pairs: Sequence[ImagePair],
        stain: Stain,
        read: Any,
        core_px: int,
        halo_px: int,
    ) -> None:
        self._pairs, self._stain, self._read = pairs, stain, read
        self._core_px, self._halo_px = core_px, halo_px
        side = core_px + 2 * halo_px
        self.shape = (len(pairs), side, side, 3)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        index, *window = key if isinstance(key, tuple) else (key,)
        rows, columns = (*window, slice(None), slice(None))[:2]
        image = self._read(self._pairs[int(index)])[self._stain is Stain.IHC]
        y, x = (
            self._places(wanted, side)
            for wanted, side in zip((rows, columns), image.shape[:2], strict=True)
        )
        found: NDArray[np.uint8] = image[y[:, None], x[None]]
        return found

    def _places(self, wanted: slice, side: int) -> NDArray[np.intp]:
        """Return where the pixels of a tile lie in an image, mirrored outside."""
        place = np.arange(self.shape[1])[wanted]
        place = place - self._halo_px + (side - self._core_px) // 2
        period = 2 * (side - 1)
        place = np.abs(place) % period
        return np.minimum(place, period - place)


def require_scores(tiles: Any, indices: NDArray[np.intp], n_classes: int) -> None:
    """Refuse labels that no classifier can be taught with.

    Raises
    ------
    UsageError
        If tiles have no label, all have the same, or the network has another
        number of outputs than there are classes.
    """
    labels = np.asarray(tiles.labels)[indices, 0]
    if not len(labels) or (labels == NO_LABEL).any():
        raise UsageError(
            "The data set has no HER2 scores, which the classifier learns from.",
            "Train the generators on it (--stage a), or give labels.csv.",
        )
    if len(found := np.unique(labels)) == 1:
        raise UsageError(
            f"All {len(labels)} pairs to learn from have the same class "
            f"({tiles.classes[int(found[0])]}); there is nothing to tell apart.",
            "Give a data set with at least two classes.",
        )
    if len(tiles.classes) != n_classes:
        raise UsageError(
            f"The data set has {len(tiles.classes)} classes "
            f"({', '.join(tiles.classes)}), the network {n_classes} outputs.",
            f"Set n_classes: {len(tiles.classes)} under network.",
        )
