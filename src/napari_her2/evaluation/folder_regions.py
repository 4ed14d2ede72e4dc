"""Regions of a data set in a folder: BCI, MIST, or two folders of pairs.

Images are taken in their own pixels; whether those are the bundle's has to be
known by whoever asks, for the files do not say it.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import cast

import numpy as np

from napari_her2.core.errors import UsageError
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Geometry, Regions
from napari_her2.training.bci import list_bci
from napari_her2.training.folder_pairs import list_folder_pairs
from napari_her2.training.image_tiles import PairTiles
from napari_her2.training.leakage import CAVEAT
from napari_her2.training.mist import list_mist
from napari_her2.training.pair_check import checked_pairs
from napari_her2.training.pairs import PairListing
from napari_her2.training.tiles import Tiles


def open_folder(
    path: Path, geometry: Geometry, cache: Path
) -> Generator[EvaluationProgress, None, Regions]:
    """Return the labelled images of a folder; of a published split the test part.

    Parameters
    ----------
    path
        Folder of the data set.
    geometry
        Of the bundle.
    cache
        Where it is kept which images could be read.

    Raises
    ------
    UsageError
        If there are no pairs, or none has a label.
    """
    listing = list_pairs(path)
    checking = checked_pairs(listing, geometry.core_px, cache / "pairs.json")
    while True:
        try:
            step = next(checking)
        except StopIteration as done:
            listing = done.value
            break
        yield EvaluationProgress("images", step.step, step.n_steps)
    tiles = PairTiles(listing, geometry.core_px, geometry.halo_px)
    index = tiles.labelled
    test = index[tiles.splits[index] == "test"]
    if len(test):
        index = test
    if not len(index):
        raise UsageError(
            f"{path.name}: no image pair has a HER2 score.",
            "Give labels.csv with name, label and slide.",
        )
    grouped = (
        "intervals over slides"
        if tiles.knows_slides
        else "slides are not named, so that intervals are over images and too narrow"
    )
    return Regions(
        cast("Tiles", tiles),
        np.sort(index),
        geometry,
        f"{listing.source}; centre of {geometry.core_px} px of each image in its own "
        f"pixels, {len(listing.problems)} pairs left out",
        f"{'published test part' if len(test) else 'all labelled pairs'}; {grouped}"
        + (f". {CAVEAT}" if len(test) and not tiles.knows_slides else ""),
        "no random choice",
    )


def list_pairs(path: Path) -> PairListing:
    """List a data set by the folders it holds.

    Raises
    ------
    UsageError
        If it looks like none that is known.
    """
    if not path.is_dir():
        raise UsageError(f"{path.name} is no folder.", "Give the data set's folder.")
    if any((path / name).is_dir() for name in ("trainA", "TrainValAB", "valA")):
        return list_mist(path)
    names = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if names & {"BCI_dataset", "HE"} or {"train", "test"} <= names:
        return list_bci(path)
    return list_folder_pairs(path)
