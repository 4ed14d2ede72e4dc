"""Small slides and a network whose results follow from the pixels it sees."""

import time

import numpy as np
import torch

from napari_her2.core.geometry import Affine
from napari_her2.core.records import Arm
from napari_her2.core.registration import Registration
from napari_her2.models.bundle import Bundle
from napari_her2.models.card import INTENDED_USE, NO_TUMOUR, Card
from napari_her2.models.network import TileOutput
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.slide import open_slide

CORE_PX, HALO_PX, MPP = 64, 16, 0.5
CLASSES = (NO_TUMOUR, "0", "0+", "1+", "2+", "3+")


def speckled(shape, seed):
    """Colour noise on a slow gradient: no two tiles look the same."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(60, 200, shape[0])[:, None, None]
    return (ramp + rng.integers(-50, 50, (*shape, 3))).astype(np.uint8)


def write_slide(path, image, mpp=MPP):
    write_pyramid(
        path,
        image.shape[:2],
        mpp,
        lambda box: image[box.y0 : box.y1, box.x0 : box.x1],
        compression="zlib",
    )
    return open_slide(path)


def pair_of(he=None, ihc=None, he_to_ihc_um=None):
    return SlidePair(
        he, ihc, Registration.of_affine(he_to_ihc_um or Affine(), "manifest")
    )


def speckled_pair(folder, shape=(500, 620)):
    return pair_of(write_slide(folder / "he.tif", speckled(shape, 1)))


def bundle_of(folder, inputs=("he", "ihc"), **changes):
    values = {
        "name": "fake",
        "version": "1",
        "trained_on": "nothing",
        "mpp": MPP,
        "core_px": CORE_PX,
        "halo_px": HALO_PX,
        "inputs": inputs,
        "outputs": (),
        "classes": CLASSES,
        "files": {},
        "licence": "BSD-3-Clause",
        "intended_use": INTENDED_USE,
        "parameters": {},
        "training_command": "none",
        "seed": 0,
        "scores": {},
    }
    return Bundle(folder, Card(**(values | changes)), "ab" * 32)


class FakeNetwork:
    """Inverts the mean of the tile's stains, halo smoothed in; counts its tiles.

    Tiles darker than ``unfamiliar_below`` are farther than 1 from what it knows.
    """

    def __init__(
        self,
        delay_s=0.0,
        logits=None,
        unfamiliar_below=None,
        arm=Arm.HE,
        gate=None,
        makes_he=False,
    ):
        self.unfamiliar_below, self.makes_he = unfamiliar_below, makes_he
        self.arm, self.gate = arm, gate
        self.n_tiles = 0
        self.delay_s = delay_s
        self.logits = logits
        self.seen = []

    def __call__(self, he, ihc):
        time.sleep(self.delay_s)
        given = [image for image in (he, ihc) if image is not None]
        image = torch.stack(given).mean(0)
        self.n_tiles += len(image)
        self.seen.append((he, ihc))
        smooth = torch.nn.functional.avg_pool2d(image, 2 * HALO_PX + 1, stride=1)
        core = image[..., HALO_PX:-HALO_PX, HALO_PX:-HALO_PX]
        synthetic = (255 * (1 - (core + smooth) / 2)).round().to(torch.uint8)
        mean = core.mean((1, 2, 3))
        if self.logits is None:
            logits = torch.stack([mean * k for k in (-1, 1, 2, 3, 5, 4)], 1) * 4
        else:
            logits = torch.tensor([self.logits] * len(image))
        count = len(image)
        arm = Arm.BOTH
        if len(given) == 1:
            arm = Arm.IHC if he is None else self.arm
        distance = torch.full((count,), torch.nan)
        if self.unfamiliar_below is not None:
            distance = 1 + self.unfamiliar_below - mean
        return TileOutput(
            synthetic_ihc=synthetic if he is not None else None,
            synthetic_he=synthetic if he is None and self.makes_he else None,
            logits=logits,
            attention=torch.nn.functional.avg_pool2d(core.mean(1), 32),
            channel_weights=torch.stack([mean, mean * 2, mean * 3], 1),
            branch_share=torch.full((count,), 1.0 if ihc is None else 0.5),
            arm=(arm,) * count,
            gate=(self.gate if arm is not Arm.BOTH else None,) * count,
            distance=distance,
        )
