"""How far backends agree with the reference, and how fast they are beside it.

What is measured here stands in a bundle's card; a backend that makes other images
or gives other scores is not offered (:mod:`napari_her2.inference.backend`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_her2.core.errors import UsageError
from napari_her2.core.whole_file import write_whole
from napari_her2.inference.backend import BACKENDS, hindrance, load, parity_key
from napari_her2.inference.forward import Network
from napari_her2.inference.identity import REFERENCE_BACKEND
from napari_her2.models.bundle import CARD_NAME, Bundle, load_bundle
from napari_her2.models.network import TileOutput

Pixels = NDArray[np.uint8]
TilePair = tuple[Pixels | None, Pixels | None]
"""H&E and IHC of a tile with its halo, uint8 (T, T, 3); None where absent."""


def measure_parity(
    bundle: Bundle,
    tiles: Iterable[TilePair],
    names: Sequence[str] | None = None,
    device: str = "cpu",
) -> dict[str, dict[str, float]]:
    """Run tiles through the reference and through other backends.

    Parameters
    ----------
    bundle
        Whose networks are compared.
    tiles
        Each is run as it is given: H&E alone, IHC alone or both. Use tiles that no
        part was trained on.
    names
        Backends to compare; all that can run here if None.
    device
        A torch device name.

    Returns
    -------
    dict
        For each backend, by its key in the card: ``mean_difference_grey`` and
        ``max_difference_grey`` of the images made, in grey values of 255;
        ``same_score_share`` and ``same_arm_share``, the shares of tiles with the
        most probable class and the arm of the reference; ``largest_logit_change``;
        ``n_tiles``; ``speed_ratio``, the median time of the reference over its own.

    Raises
    ------
    UsageError
        If there is no tile, or a backend that is named cannot run here.
    """
    chosen = [
        name
        for name in (BACKENDS if names is None else names)
        if name != REFERENCE_BACKEND and _runs(name, device, asked=names is not None)
    ]
    reference = _Timed(load(bundle, REFERENCE_BACKEND, device))
    others = {name: _Timed(load(bundle, name, device)) for name in chosen}
    compared = {name: _Comparison() for name in chosen}
    n_tiles = 0
    for pair in tiles:
        he, ihc = (_tensor(image, device) for image in pair)
        expected = reference(he, ihc)
        n_tiles += 1
        for name, network in others.items():
            compared[name].add(expected, network(he, ihc))
    if not n_tiles:
        raise UsageError("There is no tile to compare backends on.", "Give some.")
    return {
        parity_key(name, device): compared[name].summary()
        | {"speed_ratio": round(reference.seconds / others[name].seconds, 3)}
        for name in chosen
    }


def each_way(pairs: Iterable[tuple[Pixels, Pixels]]) -> Iterator[TilePair]:
    """Yield pairs of tiles as both stains, H&E alone and IHC alone."""
    for he, ihc in pairs:
        yield he, ihc
        yield he, None
        yield None, ihc


def write_parity(folder: Path, measured: Mapping[str, Mapping[str, float]]) -> Bundle:
    """Put what was measured into the card of a bundle, and verify the bundle.

    What the card says of other backends stays. The bundle's hash changes.

    Raises
    ------
    BundleError
        If the bundle is refused before or after.
    """
    card = load_bundle(folder).card
    known: dict[str, Any] = dict(card.parameters.get("backends") or {})
    known.update({name: dict(values) for name, values in measured.items()})
    written = replace(card, parameters={**card.parameters, "backends": known})
    write_whole(folder / CARD_NAME, written.to_json() + "\n")
    return load_bundle(folder)


@dataclass(slots=True)
class _Comparison:
    """What was seen of one backend so far."""

    n_tiles: int = 0
    n_pixels: int = 0
    sum_grey: int = 0
    max_grey: int = 0
    same_scores: int = 0
    same_arms: int = 0
    logit_change: float = 0.0

    def add(self, expected: TileOutput, found: TileOutput) -> None:
        """Compare the results of one tile."""
        self.n_tiles += 1
        self.same_scores += int(
            torch.equal(expected.logits.argmax(1), found.logits.argmax(1))
        )
        self.same_arms += int(expected.arm == found.arm)
        change = float((expected.logits - found.logits).abs().max())
        self.logit_change = max(self.logit_change, change)
        for one, other in (
            (expected.synthetic_ihc, found.synthetic_ihc),
            (expected.synthetic_he, found.synthetic_he),
        ):
            if one is not None and other is not None:
                difference = (one.int() - other.int()).abs()
                self.n_pixels += difference.numel()
                self.sum_grey += int(difference.sum())
                self.max_grey = max(self.max_grey, int(difference.max()))

    def summary(self) -> dict[str, float]:
        """Return plain values for a card."""
        return {
            "mean_difference_grey": round(self.sum_grey / max(1, self.n_pixels), 5),
            "max_difference_grey": self.max_grey,
            "same_score_share": self.same_scores / self.n_tiles,
            "same_arm_share": self.same_arms / self.n_tiles,
            "largest_logit_change": round(self.logit_change, 6),
            "n_tiles": self.n_tiles,
        }


@dataclass(slots=True)
class _Timed:
    """A network with a clock; the first call, which warms up, is not counted."""

    network: Network
    times: list[float] = field(default_factory=list)

    def __call__(self, he: Tensor | None, ihc: Tensor | None) -> TileOutput:
        began = time.perf_counter()
        with torch.inference_mode():
            output = self.network(he, ihc)
            output.logits.cpu()  # a GPU has finished when this is there
        self.times.append(time.perf_counter() - began)
        return output

    @property
    def seconds(self) -> float:
        return median(self.times[1:] or self.times)


def _runs(name: str, device: str, *, asked: bool) -> bool:
    reason = hindrance(name, device)
    if reason is not None and asked:
        raise UsageError(
            f"The backend {name} cannot be compared: {reason}.", "Omit it."
        )
    return reason is None


def _tensor(image: Pixels | None, device: str) -> Tensor | None:
    if image is None:
        return None
    tile = torch.from_numpy(np.divide(image, 255, dtype=np.float32))
    return tile[None].permute(0, 3, 1, 2).to(device)
