"""The MIST data sets (arXiv 2303.06193): aligned patches without scores.

Folders ``trainA``, ``trainB``, ``valA``, ``valB`` (A is H&E, B is the IHC), same
name in both. The authors drew train and val from all patches at random, so
patients are shared between them; they say that the slide stands in the file
name. How it stands there is documented nowhere: **assumed** is that the fields
behind it, separated by underscores, count patches or give their place, as in
``SLIDE_12_3.jpg``. Another form can be given as a pattern.
"""

from __future__ import annotations

import re
from pathlib import Path

from napari_her2.core.errors import UsageError
from napari_her2.training.pairs import (
    ImagePair,
    PairListing,
    PairProblem,
    matched_names,
    require_pairs,
)

SLIDE_PATTERN = r"(?P<slide>.*?)(?:_[0-9]+)+"
"""The slide is what stands before the last run of ``_number`` fields."""

HER2_PAIRS = 5642
"""Pairs of MIST-HER2: 4,642 to train and 1,000 to validate, from 64 slides."""

_FOLDERS = (("train", "trainA", "trainB"), ("test", "valA", "valB"))


def slide_of(stem: str, pattern: str = SLIDE_PATTERN) -> str | None:
    """Return the slide in a file name without suffix, None where none is found.

    Examples
    --------
    >>> slide_of("S17_02_11"), slide_of("nothing")
    ('S17', None)
    """
    found = re.fullmatch(pattern, stem)
    return found["slide"] or None if found else None


def list_mist(path: Path, slide_pattern: str = SLIDE_PATTERN) -> PairListing:
    """List the pairs of a MIST data set under a folder.

    Parameters
    ----------
    path
        Folder with ``trainA``, ``trainB``, ``valA``, ``valB``, or one that holds
        them as ``TrainValAB``.
    slide_pattern
        Regular expression for the whole file name without suffix, with a group
        named ``slide``.

    Raises
    ------
    UsageError
        If it holds fewer than two pairs, or the pattern is none.
    """
    try:
        if "slide" not in re.compile(slide_pattern).groupindex:
            raise UsageError(
                f"The pattern {slide_pattern!r} has no group named slide.",
                "Write (?P<slide>…) around the part that names the slide.",
            )
    except re.error as error:
        raise UsageError(
            f"{slide_pattern!r} is no regular expression ({error}).", "Correct it."
        ) from error
    root = path / "TrainValAB" if (path / "TrainValAB").is_dir() else path
    pairs: list[ImagePair] = []
    problems: list[PairProblem] = []
    unnamed = 0
    for split, he_folder, ihc_folder in _FOLDERS:
        matched, orphans = matched_names(root / he_folder, root / ihc_folder)
        problems += orphans
        for stem, he, ihc in matched:
            slide = slide_of(stem, slide_pattern)
            unnamed += slide is None
            # a patch whose slide is unknown is a slide of its own
            pairs.append(ImagePair(stem, he, ihc, None, slide or stem, split))
    slides = {pair.slide for pair in pairs}
    warnings = [
        f"{len(slides)} slides were read from the file names (MIST-HER2 has 64); the "
        "published split is not used, because it shares patients between train and "
        "val."
    ]
    if unnamed:
        warnings.append(
            f"{unnamed} names do not fit the pattern of a slide and count as slides of "
            "their own."
        )
    if len(pairs) != HER2_PAIRS:
        warnings.append(f"{len(pairs)} pairs were found, MIST-HER2 has {HER2_PAIRS}.")
    pairs.sort(key=lambda pair: pair.name)
    listing = PairListing(
        "MIST", tuple(pairs), tuple(problems), warnings=tuple(warnings)
    )
    return require_pairs(listing, path, "trainA, trainB, valA, valB")
