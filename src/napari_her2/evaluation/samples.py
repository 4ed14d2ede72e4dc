"""A grid of regions: H&E, real IHC, and the reconstructed IHC marked as synthetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from napari_her2.core.score import Stain
from napari_her2.evaluation.figures import save
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.regions import Regions

_SHOWN_PX = 512


def draw_samples(regions: Regions, fakes: ImageStore, path: Path) -> Path:
    """Draw the first region of every class to a PNG file.

    The mark SYNTHETIC stands in the image itself, so that no cut-out loses it.
    """
    rows = [
        int(np.flatnonzero(regions.labels == k)[0])
        for k in range(len(regions.classes))
        if (regions.labels == k).any()
    ]
    figure = Figure((7.5, 2.5 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    titles = ("H&E", "real IHC (neighbouring section)", "reconstructed IHC")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    for line, region in zip(axes, rows, strict=True):
        images = (
            regions.core(Stain.HE, region),
            regions.core(Stain.IHC, region),
            fakes[region],
        )
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image[:_SHOWN_PX, :_SHOWN_PX])
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(regions.classes[int(regions.labels[region])], fontsize=8)
        line[2].text(
            0.02, 0.97, "SYNTHETIC", transform=line[2].transAxes, va="top",
            fontsize=8, weight="bold", color="white",
            bbox={"facecolor": "darkred", "edgecolor": "none", "pad": 2},
        )  # fmt: skip
    return save(figure, path)
