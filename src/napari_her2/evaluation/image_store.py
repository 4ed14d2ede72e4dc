"""Images computed once and kept on disk, so that a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_her2.core.errors import UsageError
from napari_her2.evaluation.image_similarity import Image


class ImageStore:
    """n square uint8 images in a file, each written once.

    Parameters
    ----------
    path
        File name without suffix.
    n, side_px
        Number and side of the images.
    """

    def __init__(self, path: Path, n: int, side_px: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._images = _mapped(path.with_suffix(".npy"), (n, side_px, side_px, 3))
        self._done = _mapped(path.parent / f"{path.name}-done.npy", (n,))

    def __len__(self) -> int:
        return len(self._done)

    @property
    def missing(self) -> list[int]:
        """Images that are not there yet."""
        return [int(i) for i in np.flatnonzero(self._done == 0)]

    def __setitem__(self, index: int, image: Image) -> None:
        self._images[index] = image
        self._done[index] = 1

    def __getitem__(self, index: int) -> Image:
        return np.asarray(self._images[index])


def _mapped(path: Path, shape: tuple[int, ...]) -> Image:
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", dtype=np.uint8, shape=shape)
    array: Image = np.lib.format.open_memmap(path, "r+")
    if array.shape != shape:
        raise UsageError(
            f"{path.name} holds images of another evaluation.",
            "Choose an empty cache folder.",
        )
    return array
