from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_her2.core.score import Score
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.probabilities import SharedClasses, share_classes
from napari_her2.evaluation.regions import Geometry, Regions
from napari_her2.models.card import NO_TUMOUR
from napari_her2.models.config import DEMO
from napari_her2.models.network import Her2Network

CLASSES = (NO_TUMOUR, *(score.value for score in Score))

TINY = replace(
    DEMO,
    generator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    specific_width_mult=0.25,
    feature_width=16,
    attention_width=4,
)
CORE_PX, HALO_PX = 64, 64


class PaintedTiles:
    """Tiles whose IHC is the browner the higher their class; two per slide."""

    classes = CLASSES
    cells = None

    def __init__(self, n_slides: int) -> None:
        side = CORE_PX + 2 * HALO_PX
        rng = np.random.default_rng(1)
        n = 2 * n_slides
        self.slides = np.repeat(np.arange(n_slides), 2)
        label = np.arange(n) % len(CLASSES)
        self.labels = np.repeat(label[:, None], 5, 1).astype(np.int8)
        self.he = rng.integers(120, 250, (n, side, side, 3), dtype=np.uint8)
        brown = np.array([235, 225, 215]) - label[:, None] * np.array([20, 30, 38])
        noise = rng.integers(-6, 7, (n, side, side, 3))
        self.ihc = (brown[:, None, None] + noise).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.slides)


@pytest.fixture(scope="session")
def classes() -> SharedClasses:
    return share_classes(CLASSES, CLASSES)


@pytest.fixture(scope="session")
def regions() -> Regions:
    tiles = PaintedTiles(6)
    return Regions(
        tiles,
        np.arange(len(tiles)),
        Geometry(CORE_PX, HALO_PX, 0.5),
        "painted tiles",
        "no training",
        "seed 1",
    )


@pytest.fixture(scope="session")
def network() -> Her2Network:
    torch.manual_seed(1)
    return Her2Network(TINY, core_px=CORE_PX, halo_px=HALO_PX, attention_scale=1.0)


@pytest.fixture(scope="session")
def arms(network: Her2Network) -> NetworkArms:
    return NetworkArms(network, torch.device("cpu"))


@pytest.fixture(scope="session")
def painted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tiles as a folder of image pairs with labels and slides."""
    from skimage.io import imsave

    folder = tmp_path_factory.mktemp("pairs")
    tiles = PaintedTiles(4)
    rows = ["name,label,slide"]
    for stain in ("he", "ihc"):
        (folder / stain).mkdir()
        for k, image in enumerate(getattr(tiles, stain)):
            imsave(folder / stain / f"r{k:02}.png", image, check_contrast=False)
    for k, (label, slide) in enumerate(zip(tiles.labels, tiles.slides, strict=True)):
        name = CLASSES[label[0]] if label[0] else "0"
        rows.append(f"r{k:02},{name},s{slide}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder
