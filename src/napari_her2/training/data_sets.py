"""A data set by its name and place, ready to train on: tiles, split, caveats."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import UsageError
from napari_her2.training.bci import list_bci
from napari_her2.training.config import TrainingConfig
from napari_her2.training.embedding import Encoder, embedded, shipped_encoder
from napari_her2.training.folder_pairs import list_folder_pairs
from napari_her2.training.image_tiles import PairTiles
from napari_her2.training.leakage import leakage_index, pseudo_slides
from napari_her2.training.mist import list_mist
from napari_her2.training.pair_check import checked_pairs, listing_digest
from napari_her2.training.pairs import PairListing
from napari_her2.training.progress import TrainProgress
from napari_her2.training.splits import Split, grouped_split, published_split
from napari_her2.training.tiles import Tiles
from napari_her2.training.unpacked import unpack

VIRTUAL = "virtual"
KINDS: dict[str, Callable[[Path], PairListing]] = {
    "bci": list_bci,
    "mist": list_mist,
    "pairs": list_folder_pairs,
}
_TERMS = {
    "bci": "trained on BCI, which is for non-commercial use only",
    "mist": "trained on MIST; see its authors' terms",
    "pairs": "trained on the user's own images; theirs to decide",
}


@dataclass(frozen=True, slots=True)
class DataSet:
    """What to train on.

    Parameters
    ----------
    name
        What the bundle made from it is called.
    tiles, split
        Tiles and their parts.
    trained_on, licence
        For the card of the bundle.
    leakage
        What is known about patches of one slide in two parts.
    """

    name: str
    tiles: Tiles
    split: Split
    trained_on: str
    licence: str
    leakage: dict[str, Any]


def list_data(source: str) -> tuple[str, PairListing]:
    """Return the kind and the listing of ``bci:PATH``, ``mist:PATH``, ``pairs:PATH``.

    Raises
    ------
    UsageError
        If the kind is unknown, the folder missing, or without pairs.
    """
    kind, separator, place = source.partition(":")
    if kind not in KINDS or not separator:
        known = ", ".join(f"{name}:PATH" for name in KINDS)
        raise UsageError(
            f"{source!r} is no data set.", f"Give {VIRTUAL}, or one of {known}."
        )
    path = Path(place).expanduser()
    if not path.is_dir():
        raise UsageError(f"There is no folder {path}.", "Check the path.")
    return kind, KINDS[kind](path)


def open_data(
    kind: str,
    listing: PairListing,
    config: TrainingConfig,
    out: Path,
    encoder: Callable[[], Encoder] = shipped_encoder,
) -> Generator[TrainProgress, None, DataSet]:
    """Check all images, split them, and measure leakage; yields its progress.

    Parameters
    ----------
    kind, listing
        From :func:`list_data`.
    config
        Geometry, split and seed.
    out
        Folder of the run, in which what was found is kept.
    encoder
        Makes the frozen encoder for pseudo-slides and the leakage index.

    Raises
    ------
    UsageError
        If too few pairs can be read, or the split is not possible.
    """
    checked = yield from checked_pairs(listing, config.core_px, out / "pairs.json")
    digest = listing_digest(checked, config.core_px)[:12]
    tiles = PairTiles(checked, config.core_px, config.halo_px)
    yield from unpack(tiles, out / "tiles" / digest, config.unpacked_gib)
    labels = tiles.labels[:, 0].astype(int)
    groups, features = tiles.slides, None
    knows_labels = len(np.unique(labels[labels >= 0])) > 1
    if not tiles.knows_slides and knows_labels:
        features = yield from embedded(
            tiles, config.halo_px, out / f"features-{digest}.npy", encoder()
        )
    if config.split == "pseudo_slides" and not tiles.knows_slides:
        if features is None:
            raise UsageError(
                "Pseudo-slides need labels of at least two classes.",
                "Choose split: slides.",
            )
        groups = pseudo_slides(features, labels, seed=config.seed)
    split = _split(config, tiles, labels, groups)
    leakage = _leakage(config, tiles, split, features, labels)
    counts = ", ".join(
        f"{name} {len(part)}"
        for name, part in (
            ("train", split.train),
            ("validation", split.validation),
            ("test", split.test),
        )
    )
    return DataSet(
        name=kind if kind != "pairs" else listing.source,
        tiles=tiles,
        split=split,
        trained_on=(
            f"{checked.source}: {len(checked.pairs)} pairs of H&E and HER2 IHC "
            f"({counts}), split by {config.split}. {leakage['caveat']}"
        ),
        licence=_TERMS[kind],
        leakage=leakage,
    )


def _split(
    config: TrainingConfig,
    tiles: PairTiles,
    labels: NDArray[np.integer[Any]],
    groups: NDArray[np.int64],
) -> Split:
    if config.split == "published":
        return published_split(
            tiles.splits,
            labels,
            groups,
            validation_share=config.validation_share,
            seed=config.seed,
        )
    return grouped_split(
        labels,
        groups,
        validation_share=config.validation_share,
        test_share=config.test_share,
        seed=config.seed,
    )


def _leakage(
    config: TrainingConfig,
    tiles: PairTiles,
    split: Split,
    features: NDArray[Any] | None,
    labels: NDArray[np.integer[Any]],
) -> dict[str, Any]:
    """Return the leakage index with its caveat, or why there is none."""
    if tiles.knows_slides:
        apart = (
            "no slide is in two parts"
            if split.is_grouped
            else ("slides are in two parts, so that the numbers test memory of slides")
        )
        return {"split": config.split, "caveat": f"Slides are known: {apart}."}
    train, test = (part[labels[part] >= 0] for part in (split.train, split.test))
    if features is None or not len(test):
        return {
            "split": config.split,
            "caveat": "Slides are not known and may be in two parts.",
        }
    found = asdict(leakage_index(features, labels, train, test))
    found["per_class"] = {
        tiles.classes[label]: round(share, 4)
        for label, share in found["per_class"].items()
    }
    found["index"] = round(found["index"], 4)
    return {"split": config.split, **found}
