"""Reconstructed IHC against the real one, image by image, and what it must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import NetworkArms
from napari_her2.evaluation.colour_transfer import (
    ColourSums,
    flat_colour,
    transfer_colour,
)
from napari_her2.evaluation.dab import dab_density, overlap_sums, positive_shares
from napari_her2.evaluation.image_similarity import Image, psnr, ssim
from napari_her2.evaluation.intervals import Floats
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Regions

CM_GAN = "CM-GAN"
HE_COPIED = "H&E copied"
COLOUR_TRANSFER = "colour transfer"
FLAT_COLOUR = "flat mean colour"
PLAIN_GAN = "plain Pyramid Pix2Pix"

MEASURES = ("psnr", "ssim", "dab_real", "dab_fake", "overlap", "union")
"""Columns of what is measured per image: dB, 1, mean OD, mean OD, blocks, blocks."""

Maker = Callable[[int, Image], Image]
"""Takes a region and its H&E core and gives an IHC."""


@dataclass(slots=True)
class Translated:
    """What was measured of n images.

    Attributes
    ----------
    values
        (n, 6) by method, columns as in :data:`MEASURES`.
    logits
        (n, K) by method, the classifier on that IHC alone; ``real`` is the real one.
    features
        (n, d) by method and ``real``, where there is an extractor.
    """

    values: dict[str, Floats] = field(default_factory=dict)
    logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    features: dict[str, list[Floats]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write all arrays to an ``.npz`` file."""
        arrays: dict[str, Any] = {
            **{f"values/{k}": v for k, v in self.values.items()},
            **{f"logits/{k}": v for k, v in self.logits.items()},
        }
        np.savez_compressed(path, **arrays)


def measure_translation(
    regions: Regions,
    arms: NetworkArms,
    makers: Mapping[str, Maker],
    result: Translated,
    extractor: Callable[[Image], Floats] | None = None,
) -> Iterator[EvaluationProgress]:
    """Make an IHC of every region by every method and measure it.

    Parameters
    ----------
    regions
        Where.
    arms
        The classifier whose score of the fake is compared with that of the real.
    makers
        Methods by name.
    result
        Filled in.
    extractor
        Gives the features (d,) of an image.
    """
    rows: dict[str, list[list[float]]] = {name: [] for name in makers}
    logits: dict[str, list[NDArray[np.float32]]] = {
        name: [] for name in (*makers, "real")
    }
    for region in range(len(regions)):
        he, real = (regions.core(stain, region) for stain in Stain)
        density = dab_density(real)
        shares = positive_shares(density)
        logits["real"].append(_score(arms, real))
        if extractor is not None:
            result.features.setdefault("real", []).append(extractor(real))
        for name, make in makers.items():
            fake = make(region, he)
            made = dab_density(fake)
            rows[name].append(
                [
                    psnr(real, fake),
                    ssim(real, fake),
                    float(density.mean()),
                    float(made.mean()),
                    *overlap_sums(shares, positive_shares(made)),
                ]
            )
            logits[name].append(_score(arms, fake))
            if extractor is not None:
                result.features.setdefault(name, []).append(extractor(fake))
        yield EvaluationProgress("translation", region + 1, len(regions))
    result.values = {name: np.array(values) for name, values in rows.items()}
    result.logits = {name: np.stack(values) for name, values in logits.items()}


def colour_makers(regions: Regions) -> dict[str, Maker]:
    """Return the methods that learn nothing but the mean colours of real IHC.

    One target for all regions: leaving out a region's own slide would make the
    flat colour anti-correlate with the truth.
    """
    target = reduce(
        add,
        (ColourSums.of(regions.core(Stain.IHC, k)) for k in range(len(regions))),
    )
    return {
        HE_COPIED: lambda _, he: he,
        COLOUR_TRANSFER: lambda _, he: transfer_colour(he, target),
        FLAT_COLOUR: lambda _, he: flat_colour(he.shape, target),
    }


def _score(arms: NetworkArms, ihc: Image) -> NDArray[np.float32]:
    return arms.score(None, arms.encode(Stain.IHC, ihc)).logits
