"""Small folders of image pairs, laid out as the public data sets are."""

from pathlib import Path

import numpy as np
from skimage.io import imsave

LABELS = ("0", "1+", "2+", "3+")


def picture(seed: int, side: int = 64) -> np.ndarray:
    """Return an image that differs with its seed."""
    rng = np.random.default_rng(seed)
    return rng.integers(60, 250, (side, side, 3), dtype=np.uint8)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, image, check_contrast=False)
    return path


def stained(seed: int, level: int, side: int) -> np.ndarray:
    """Return an IHC that is the browner the higher its level."""
    colour = np.array([230 - 20 * level, 230 - 35 * level, 230 - 50 * level])
    noise = np.random.default_rng(seed).integers(-5, 6, (side, side, 3))
    return np.clip(colour + noise, 0, 255).astype(np.uint8)


def bci_folder(
    root: Path, n_train: int = 16, n_test: int = 8, side: int = 64, step: int = 3
) -> Path:
    """Write BCI in two folders, with gaps between the ids."""
    for split, n in (("train", n_train), ("test", n_test)):
        for index in range(n):
            level = index % 4
            name = f"{index * step:05d}_{split}_{LABELS[level]}.png"
            seed = index + 1000 * (split == "test")
            write(root / "HE" / split / name, picture(seed, side))
            write(root / "IHC" / split / name, stained(seed, level, side))
    return root
