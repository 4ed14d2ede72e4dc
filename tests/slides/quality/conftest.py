"""Small fields of tissue, made here: cells on fibres, in the dyes of a stain."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_her2.core.score import Stain
from napari_her2.phantom.artefacts import Field
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.slide import Slide
from napari_her2.slides.source import SlideSource

NUCLEUS = np.array((0.65, 0.70, 0.29))
GROUND = {
    Stain.HE: np.array((0.03, 0.30, 0.08)),
    Stain.IHC: np.array((0.07, 0.08, 0.04)),
}


@pytest.fixture
def field():
    """A field of 640 × 800 µm at 1 µm/px: round nuclei on pale ground, glass around."""

    def make(stain=Stain.HE, seed=0, glass=(240, 241, 243), margin=70):
        rng = np.random.default_rng(seed)
        height, width = 640, 800
        nuclei = np.zeros((height, width))
        for _ in range(1500):
            y, x = rng.uniform((0, 0), (height, width))
            rows, cols = np.ogrid[:height, :width]
            box = np.s_[
                max(int(y) - 7, 0) : int(y) + 8, max(int(x) - 7, 0) : int(x) + 8
            ]
            away = np.hypot(rows[box[0]] - y, cols[:, box[1]] - x)
            nuclei[box] = np.maximum(nuclei[box], np.clip(4.5 - away, 0, 1))
        noise = rng.normal(0, 1, (height, width))
        chromatin = 0.6 + 0.25 * ndimage.gaussian_filter(noise, 1) * 3
        ground = 1 + 0.8 * ndimage.gaussian_filter(noise, 2) * 5
        strength = 0.6 if stain is Stain.HE else 0.3
        density = (nuclei * strength * chromatin)[..., None] * NUCLEUS
        density = density + ground.clip(0.3, 2)[..., None] * GROUND[stain]
        inside = np.zeros((height, width))
        inside[margin : height - margin, margin : width - margin] = 1
        density *= ndimage.gaussian_filter(inside, 1)[..., None]
        light = np.array(glass) * 10**-density + rng.normal(0, 1, (height, width, 3))
        return Field(light.clip(0, 255).astype(np.uint8), 1.0, stain)

    return make


@pytest.fixture
def slide_of():
    """Return an image in memory as a slide."""

    def make(image, mpp=1.0):
        source = SlideSource([ArrayBlocks(image)], mpp, "blake2b:00", lambda: None)
        return Slide(Path("field.png"), source)

    return make
