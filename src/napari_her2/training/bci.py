"""The BCI data set (arXiv 2204.11425), in both layouts that are around.

Names are ``NNNNN_{train|test}_{0|1+|2+|3+}.png``. Ids have gaps, so pairs are
found by name. The label is the category of the *slide* a patch was cut from,
the names hold neither slide nor patient, and its 0 includes 0+ (ultralow). The
data set is for non-commercial use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_her2.models.card import ZERO_OR_ULTRALOW
from napari_her2.training.pairs import (
    ImagePair,
    PairListing,
    PairProblem,
    images_in,
    matched_names,
    require_pairs,
)

RELEASE_PAIRS = 4873
"""Pairs of the release: 3,896 to train and 977 to test (the paper says 4,870)."""

CLASSES = (ZERO_OR_ULTRALOW, "1+", "2+", "3+")
_SPLITS = ("train", "test")
_NAME = re.compile(r"([0-9]{5})_(train|test)_(0|1\+|2\+|3\+)\.png", re.ASCII)
_LABELS = dict(zip(("0", "1+", "2+", "3+"), CLASSES, strict=True))


@dataclass(frozen=True, slots=True)
class BciName:
    """What a file name of BCI says; ``label`` is one of :data:`CLASSES`."""

    number: int
    split: str
    label: str


def parse_name(name: str) -> BciName | None:
    """Return what a file name says, None when it is no name of BCI.

    Examples
    --------
    >>> parse_name("00042_train_2+.png")
    BciName(number=42, split='train', label='2+')
    >>> parse_name("00042_train_4+.png") is None
    True
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return BciName(int(found[1]), found[2], _LABELS[found[3]])


def list_bci(path: Path) -> PairListing:
    """List the pairs of BCI under a folder.

    Parameters
    ----------
    path
        Folder with ``HE`` and ``IHC`` (each with ``train`` and ``test``), or with
        ``train`` and ``test`` whose images show H&E and IHC side by side, or a
        folder that holds one of these as ``BCI_dataset``.

    Raises
    ------
    UsageError
        If it holds fewer than two pairs.
    """
    root = path / "BCI_dataset" if (path / "BCI_dataset").is_dir() else path
    two_folders = (root / "HE").is_dir() or (root / "IHC").is_dir()
    pairs: list[ImagePair] = []
    problems: list[PairProblem] = []
    for split in _SPLITS:
        if two_folders:
            matched, orphans = matched_names(root / "HE" / split, root / "IHC" / split)
            problems += orphans
        else:
            matched = [(n, f, f) for n, f in images_in(root / split).items()]
        for stem, he, ihc in matched:
            said = parse_name(he.name)
            if said is None or parse_name(ihc.name) is None:
                problems.append(PairProblem(he.name, "this is no file name of BCI"))
            elif said.split != split:
                problems.append(PairProblem(he.name, f"it lies in the folder {split}"))
            else:
                pairs.append(ImagePair(stem, he, ihc, said.label, None, split))
    warnings = [
        "BCI's labels are those of the slide a patch is from, and patches of a slide "
        "very probably lie on both sides of its split: read accuracies with the "
        "leakage index.",
    ]
    if len(pairs) != RELEASE_PAIRS:
        warnings.append(
            f"{len(pairs)} pairs were found, the release has {RELEASE_PAIRS}."
        )
    listing = PairListing(
        "BCI", tuple(pairs), tuple(problems), CLASSES, tuple(warnings)
    )
    return require_pairs(
        listing, path, "HE/train, HE/test, IHC/train, IHC/test, or train and test"
    )
