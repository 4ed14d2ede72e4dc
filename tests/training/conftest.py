from dataclasses import dataclass, replace

import numpy as np
import pytest

from napari_her2.models.config import DEMO
from napari_her2.training.config import TrainingConfig
from napari_her2.training.tiles import CELL_GRID_PX, CLASSES, TrainingTile

TINY_NETWORK = replace(
    DEMO,
    generator_width=4,
    discriminator_width=4,
    shared_widths=(4, 4, 8, 8, 8),
    feature_width=8,
    attention_width=4,
)


@dataclass(frozen=True)
class ColourTiles:
    """Tiles whose IHC is the browner the higher their class."""

    n_slides: int
    core_px: int
    tiles_per_slide: int = 2
    halo_px: int = 64

    @property
    def tile_px(self) -> int:
        return self.core_px + 2 * self.halo_px

    def render(self, slide: int) -> list[TrainingTile]:
        rng = np.random.default_rng(slide)
        return [self._tile(rng, (slide + i) % len(CLASSES)) for i in range(2)]

    def _tile(self, rng: np.random.Generator, label: int) -> TrainingTile:
        shape = (self.tile_px, self.tile_px, 3)
        he = rng.integers(150, 250, shape, dtype=np.uint8)
        ihc = np.full(shape, (230 - 20 * label, 230 - 30 * label, 230 - 40 * label))
        noisy = ihc + rng.integers(-5, 6, shape)
        side = self.tile_px // CELL_GRID_PX
        cells = np.zeros((side, side, 5), np.uint8)
        if label:
            cells[..., label - 1] = 1
        return TrainingTile(he, noisy.astype(np.uint8), (label,) * 5, cells)


@pytest.fixture
def tiny_config() -> TrainingConfig:
    return TrainingConfig(
        n_slides=6,
        n_validation_slides=1,
        n_familiarity_slides=0,
        tiles_per_slide=2,
        core_px=96,
        generator_cycles=(2, 2),
        generator_batch=2,
        generator_crop_px=64,
        selector_steps=4,
        classifier_steps=6,
        single_stain_share=0.0,
        classifier_batch=4,
        classifier_crop_px=64,
        validation_steps=2,
        head_tiles=8,
        head_steps=4,
        head_batch=8,
        checkpoint_steps=2,
        processes=0,
        mixed_precision=False,  # narrow maps in bfloat16 crashed torch 2.13
        network=TINY_NETWORK,
    )


@pytest.fixture
def sources() -> dict[str, ColourTiles]:
    return {
        "generator_source": ColourTiles(4, core_px=64),
        "train_source": ColourTiles(7, core_px=96),
    }
