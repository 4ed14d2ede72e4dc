"""Decode every pair once before training, and set the broken ones aside.

A damaged image must not end a run after hours. What was found is kept in the
folder of the run; it counts again as long as no file has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from napari_her2.core.errors import SlideError
from napari_her2.training.pairs import (
    ImagePair,
    PairListing,
    PairProblem,
    require_pairs,
)
from napari_her2.training.progress import TrainProgress, TrainStage

_THREADS = max(2, (os.cpu_count() or 2) // 2)


def checked_pairs(
    listing: PairListing, core_px: int, record: Path
) -> Generator[TrainProgress, None, PairListing]:
    """Return the listing without pairs that cannot be used; yields its progress.

    Parameters
    ----------
    listing
        Pairs as their names tell.
    core_px
        Side of the tiles to be cut; smaller images are set aside.
    record
        JSON file in which the outcome is kept.

    Raises
    ------
    UsageError
        If fewer than two pairs are left.
    """
    state = listing_digest(listing, core_px)
    reasons = _recorded(record, state)
    if reasons is None:
        reasons = {}
        with ThreadPoolExecutor(_THREADS) as pool:
            outcomes = pool.map(lambda pair: _problem(pair, core_px), listing.pairs)
            for step, (pair, reason) in enumerate(
                zip(listing.pairs, outcomes, strict=True), 1
            ):
                if reason:
                    reasons[_key(pair)] = reason
                yield TrainProgress(TrainStage.TILES, step, len(listing.pairs))
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"state": state, "reasons": reasons}, indent=1))
        os.replace(partial, record)
    checked = replace(
        listing,
        pairs=tuple(pair for pair in listing.pairs if _key(pair) not in reasons),
        problems=(
            *listing.problems,
            *(PairProblem(name, reason) for name, reason in reasons.items()),
        ),
    )
    return require_pairs(checked, record, "images that can be read")


def _problem(pair: ImagePair, core_px: int) -> str:
    """Return why a pair cannot be used, empty when it can."""
    try:
        he, _ = pair.read()
    except SlideError as error:
        return f"{error.path.name}: {error.detail}"
    if min(he.shape[:2]) < core_px:
        return f"{he.shape[1]} × {he.shape[0]} px is smaller than {core_px} px"
    return ""


def _key(pair: ImagePair) -> str:
    return f"{pair.he.parent.name}/{pair.name}"


def listing_digest(listing: PairListing, core_px: int) -> str:
    """Return a digest that changes when a file does."""
    digest = hashlib.sha256(str(core_px).encode())
    for pair in listing.pairs:
        for file in (pair.he, pair.ihc):
            try:
                known = file.stat()
                digest.update(
                    f"{file.name}|{known.st_size}|{known.st_mtime_ns}".encode()
                )
            except OSError:
                digest.update(f"{file.name}|?".encode())
    return digest.hexdigest()


def _recorded(record: Path, state: str) -> dict[str, str] | None:
    try:
        kept = json.loads(record.read_text())
        return dict(kept["reasons"]) if kept["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
