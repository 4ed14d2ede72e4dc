"""Pairs of image files, H&E and IHC, that belong together by name.

What a folder holds is listed once: pairs, and problems that keep an image out
of them. A missing or broken partner is a problem of that pair, never of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.errors import SlideError, UsageError
from napari_her2.slides.flat_image import read_flat

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class ImagePair:
    """Two images of one place.

    Parameters
    ----------
    name
        What both are called.
    he, ihc
        Files; the same file when the images stand side by side, H&E left.
    label
        Class name, None where the data set has none.
    slide
        Slide or patient the place is from, None where nobody knows.
    split
        ``train`` or ``test`` as published, None where there is no split.
    """

    name: str
    he: Path
    ihc: Path
    label: str | None = None
    slide: str | None = None
    split: str | None = None

    @property
    def is_side_by_side(self) -> bool:
        """Whether one file holds both images."""
        return self.he == self.ihc

    def read(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return H&E and IHC, uint8 (h, w, 3), of the same shape.

        Raises
        ------
        SlideError
            If a file cannot be read, or the two do not fit each other.
        """
        if self.is_side_by_side:
            image = read_flat(self.he)
            if image.shape[1] % 2:
                raise SlideError(
                    self.he, "two images do not fit side by side.", "Leave it out."
                )
            half = image.shape[1] // 2
            return image[:, :half], image[:, half:]
        he, ihc = read_flat(self.he), read_flat(self.ihc)
        if he.shape != ihc.shape:
            raise SlideError(
                self.ihc,
                f"it has {ihc.shape[1]} × {ihc.shape[0]} px, its H&E "
                f"{he.shape[1]} × {he.shape[0]} px.",
                "Leave the pair out, or register and crop it again.",
            )
        return he, ihc


@dataclass(frozen=True, slots=True)
class PairProblem:
    """Why an image takes no part."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class PairListing:
    """What was found in a data set.

    Parameters
    ----------
    source
        What the data set is called in messages and in the card.
    pairs
        Sorted by name.
    problems
        Images left out, with the reason.
    classes
        Class names that labels come from, lowest first; empty without labels.
    warnings
        What a reader should know before he trusts a number.
    """

    source: str
    pairs: tuple[ImagePair, ...]
    problems: tuple[PairProblem, ...] = ()
    classes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return the number of pairs by split (``all`` without one) and label."""
        counts: dict[str, dict[str, int]] = {}
        for pair in self.pairs:
            of_split = counts.setdefault(pair.split or "all", {})
            label = pair.label or "no label"
            of_split[label] = of_split.get(label, 0) + 1
        order = [*self.classes, "no label"]
        return {
            split: {name: found[name] for name in order if name in found}
            for split, found in sorted(counts.items())
        }

    def summary(self) -> tuple[str, ...]:
        """Return lines to print: counts, warnings, and each problem."""
        lines = [f"{self.source}: {len(self.pairs)} pairs"]
        for split, labels in self.counts().items():
            parts = ", ".join(f"{name}: {n}" for name, n in labels.items())
            lines.append(f"  {split}: {sum(labels.values())} ({parts})")
        lines += [f"warning: {text}" for text in self.warnings]
        lines += [f"left out: {problem}" for problem in self.problems]
        return tuple(lines)


def matched_names(
    he: Path, ihc: Path
) -> tuple[list[tuple[str, Path, Path]], list[PairProblem]]:
    """Return the names that both folders hold, with their files, and the orphans.

    The suffix may differ between the folders (.png and .jpg); a missing folder
    counts as an empty one.
    """
    found = {stain: images_in(folder) for stain, folder in (("he", he), ("ihc", ihc))}
    both = sorted(found["he"].keys() & found["ihc"].keys())
    orphans = [
        PairProblem(file.name, f"there is no image of that name in {other.name}")
        for stain, other in (("he", ihc), ("ihc", he))
        for name, file in found[stain].items()
        if name not in both
    ]
    return [(n, found["he"][n], found["ihc"][n]) for n in both], orphans


def images_in(folder: Path) -> dict[str, Path]:
    """Return the PNG and JPEG files of a folder by stem, sorted."""
    if not folder.is_dir():
        return {}
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    return {file.stem: file for file in files if not file.name.startswith(".")}


def require_pairs(listing: PairListing, path: Path, expected: str) -> PairListing:
    """Return the listing if it can be learned from.

    Raises
    ------
    UsageError
        If it holds no pair, or one alone, which leaves nothing to test on.
    """
    if not listing.pairs:
        raise UsageError(
            f"{path} holds no pair of images"
            + (f" ({listing.problems[0]})." if listing.problems else "."),
            f"Give a folder with {expected}.",
        )
    if len(listing.pairs) == 1:
        raise UsageError(
            f"{path} holds one pair only ({listing.pairs[0].name}): none is left to "
            "validate and test on.",
            "Give a data set of at least three pairs.",
        )
    return listing
