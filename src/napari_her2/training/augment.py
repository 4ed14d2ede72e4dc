"""Random variation of training tiles: position, orientation, colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight symmetries of a square."""

    quarter_turns: int
    flipped: bool

    @classmethod
    def draw(cls, rng: Rng) -> Turn:
        """Draw one of the eight."""
        return cls(int(rng.integers(4)), bool(rng.integers(2)))

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an image (h, w, 3)."""
        turned = np.rot90(image, self.quarter_turns)
        return turned[:, ::-1] if self.flipped else turned


def to_tensor(images: list[NDArray[np.uint8]]) -> Tensor:
    """Stack images (h, w, 3) to float (B, 3, h, w) in [0, 1]."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return batch.float().div_(255)


def vary_he(images: Tensor, rng: Rng) -> Tensor:
    """Vary H&E colour: optical density by ±20 % and per channel by ±7 %, light by 5 %.

    Scaling optical density is raising transmitted light to a power.
    """
    n = len(images)
    common = rng.uniform(0.8, 1.2, (n, 1, 1, 1))
    by_channel = rng.uniform(0.93, 1.07, (n, 3, 1, 1))
    return _vary(images, common * by_channel, rng)


def vary_ihc(images: Tensor, rng: Rng) -> Tensor:
    """Vary IHC brightness and contrast by 5 %; hue and DAB strength are the label."""
    return _vary(images, rng.uniform(0.95, 1.05, (len(images), 1, 1, 1)), rng)


def _vary(images: Tensor, density: NDArray[np.float64], rng: Rng) -> Tensor:
    light = rng.uniform(0.95, 1.05, (len(images), 1, 1, 1))
    powered = images.clamp(min=1 / 255) ** torch.from_numpy(density).float()
    return (powered * torch.from_numpy(light).float()).clamp(0, 1)
