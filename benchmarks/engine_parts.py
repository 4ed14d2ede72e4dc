"""What the engine's benchmarks share: a run's ingredients and rows of results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from rows import row_of
from torch import Tensor

from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import Arm
from napari_her2.core.region import Region
from napari_her2.inference.engine import Network
from napari_her2.models.bundle import Bundle
from napari_her2.models.card import INTENDED_USE, NO_TUMOUR, Card
from napari_her2.models.network import TileOutput
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.slide import open_slide

MPP = 0.5
"""µm/px of the slides and of the network that does nothing."""

COMMAND = "python benchmarks/engine.py"
row = partial(row_of, COMMAND)


def square(side_px: int, y0: int = 0, x0: int = 0) -> Region:
    """Return a square region."""
    return Region.from_box(
        "square", "square", BoxPx(y0, x0, y0 + side_px, x0 + side_px)
    )


@contextmanager
def opened(path: Path) -> Iterator[SlidePair]:
    """Open an H&E slide afresh, nothing of it cached in this process."""
    with SlidePair(open_slide(path), None) as pair:
        yield pair


def null_bundle(core_px: int, halo_px: int) -> Bundle:
    """Return the bundle of a network that does nothing."""
    card = Card(
        name="nothing",
        version="0",
        trained_on="nothing",
        mpp=MPP,
        core_px=core_px,
        halo_px=halo_px,
        inputs=("he", "ihc"),
        outputs=("synthetic_ihc",),
        classes=(NO_TUMOUR, "0", "0+", "1+", "2+", "3+"),
        files={},
        licence="BSD-3-Clause",
        intended_use=INTENDED_USE,
        parameters={},
        training_command="none",
        seed=0,
        scores={},
    )
    return Bundle(Path("nothing"), card, "0" * 64)


class NullNetwork:
    """Returns the same results for every tile, at once."""

    def __init__(self, core_px: int) -> None:
        side = core_px // 32
        image = torch.arange(core_px, dtype=torch.int32).remainder(256)
        self._output = TileOutput(
            synthetic_ihc=image.to(torch.uint8)
            .expand(1, 3, core_px, core_px)
            .contiguous(),
            synthetic_he=None,
            logits=torch.zeros(1, 6),
            attention=torch.zeros(1, side, side),
            channel_weights=torch.zeros(1, 64),
            branch_share=torch.zeros(1),
            arm=(Arm.HE_RECONSTRUCTED,),
            gate=(None,),
            distance=torch.full((1,), torch.nan),
        )

    def __call__(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Look at nothing."""
        return self._output


@dataclass
class Timed:
    """A network with a stop watch."""

    network: Network
    seconds: list[float] = field(default_factory=list)

    def __call__(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        """Run the network and note how long it took."""
        began = time.perf_counter()
        output = self.network(he, ihc)
        self.seconds.append(time.perf_counter() - began)
        return output
