"""Slides to time the engine on: a texture with the grain of tissue, any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_her2.core.geometry import BoxPx
from napari_her2.slides.pyramid_writer import write_pyramid

BLOCK_PX = 2048


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """Return a block (2048, 2048, 3) of purple grains on pink; it wraps around."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((BLOCK_PX, BLOCK_PX), np.float32)
    nuclei, fibres = (gaussian_filter(noise, s, mode="wrap") * s for s in (6, 1.5))
    dark = 1 / (1 + np.exp(-8 * (nuclei - 0.35)))
    shade = 0.25 + 0.12 * fibres + 0.9 * dark
    pink, purple = np.array([0.12, 0.75, 0.35]), np.array([0.65, 0.85, 0.35])
    stain = pink + (purple - pink) * dark[..., None]
    light = 245 * np.exp(-np.clip(shade, 0, None)[..., None] * stain)
    grain = rng.normal(0, 2, light.shape)
    return np.clip(light + grain, 0, 255).astype(np.uint8)


def write_textured_slide(path: Path, side_px: int, mpp: float) -> Path:
    """Write a square slide, JPEG in tiles of 512 px, if it is not there yet."""
    if not path.exists():
        block = texture()

        def read(box: BoxPx) -> NDArray[np.uint8]:
            y, x = (np.arange(*span) % BLOCK_PX for span in _spans(box))
            return block[np.ix_(y, x)]

        write_pyramid(path, (side_px, side_px), mpp, read)
    return path


def _spans(box: BoxPx) -> tuple[tuple[int, int], tuple[int, int]]:
    return (box.y0, box.y1), (box.x0, box.x1)
