"""What the stages of one evaluation share: network, regions, reconstructions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_her2.core.score import Stain
from napari_her2.evaluation.arms import FAKE_OF, NetworkArms
from napari_her2.evaluation.backends import on_backend, open_network, weights_of
from napari_her2.evaluation.comparisons import PLAIN_GENERATOR, load_comparisons
from napari_her2.evaluation.image_store import ImageStore
from napari_her2.evaluation.probabilities import SharedClasses, share_classes
from napari_her2.evaluation.progress import EvaluationProgress
from napari_her2.evaluation.regions import Geometry, Regions, VirtualRegions
from napari_her2.evaluation.settings import Settings
from napari_her2.inference.backend import choose
from napari_her2.models.bundle import Bundle, load_bundle
from napari_her2.models.calibration import Calibration, calibration_of

Fakes = dict[Stain, ImageStore]


@dataclass(frozen=True, slots=True)
class Part:
    """Which regions of an evaluation.

    Parameters
    ----------
    signal
        Those of this point of the signal curve; None for the evaluation's own.
    first
        Only the first slides, with about so many regions.
    """

    signal: float | None = None
    first: int | None = None


@dataclass(slots=True)
class Workspace:
    """One bundle on one set of regions.

    Attributes
    ----------
    settings, bundle, arms, geometry, calibration
        What is measured; no calibration if the bundle has none.
    backend
        Name of what computes.
    regions
        Where; filled by :meth:`open_regions`.
    """

    settings: Settings
    bundle: Bundle
    arms: NetworkArms
    geometry: Geometry
    calibration: Calibration | None
    backend: str
    regions: Regions = field(init=False)

    @classmethod
    def open(cls, settings: Settings) -> Workspace:
        """Load the bundle and the weights to compare it with.

        Raises
        ------
        BundleError
            If one of them does not fit.
        UsageError, NotReadyError
            If there is no such backend, or it cannot be used.
        """
        bundle = load_bundle(settings.bundle)
        card, device = bundle.card, torch.device(settings.device)
        backend = choose(bundle, settings.device, settings.backend)
        network = open_network(bundle, backend, settings.device)
        others = (
            load_comparisons(
                settings.comparisons,
                network.config,
                weights_of(network),
                device,
                partial(on_backend, network=network, backend=backend),
            )
            if settings.comparisons
            else []
        )
        return cls(
            settings,
            bundle,
            NetworkArms(network, device, others),
            Geometry(card.core_px, card.halo_px, card.mpp),
            calibration_of(bundle),
            backend,
        )

    @property
    def classes(self) -> SharedClasses:
        """Classes that bundle and data share."""
        return share_classes(self.bundle.card.classes, self.regions.classes)

    def truth(self, regions: Regions) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return truths in the shared classes, and slides, both (n,)."""
        return self.classes.truth(regions.labels), regions.slides

    def open_regions(self) -> Iterator[EvaluationProgress]:
        """Render or read the regions."""
        settings = self.settings
        if settings.data is not None:
            from napari_her2.evaluation.folder_regions import open_folder

            self.regions = yield from open_folder(
                settings.data, self.geometry, settings.cache_dir
            )
            return
        wanted = self.virtual(settings.signal, settings.slides)
        yield from wanted.render(settings.cache_dir, settings.processes)
        self.regions = wanted.open(settings.cache_dir)

    def virtual(self, signal: float, slides: int) -> VirtualRegions:
        """Return virtual regions in the bundle's geometry."""
        settings = self.settings
        return VirtualRegions(
            slides, settings.regions_per_slide, signal, settings.seed, self.geometry
        )

    def open_part(self, part: Part) -> Regions:
        """Return rendered regions."""
        settings = self.settings
        regions = (
            self.regions
            if part.signal is None
            else self.virtual(part.signal, settings.curve_slides).open(
                settings.cache_dir
            )
        )
        return regions if part.first is None else regions.first_of_slides(part.first)

    def open_fakes(self, part: Part) -> Fakes:
        """Return the reconstructions of whole regions, in every direction there is."""
        settings = self.settings
        if part.signal is not None:
            name = self.virtual(part.signal, settings.curve_slides).name
        elif settings.data is None:
            name = self.virtual(settings.signal, settings.slides).name
        else:
            name = f"data-{len(self.regions)}"
        # images of two backends are never mixed
        made_by = f"reconstructed-{self.bundle.sha256[:16]}-{self.backend}"
        folder = settings.cache_dir / name / made_by
        n = len(self.open_part(part))
        return {
            stain: ImageStore(folder / FAKE_OF[stain], n, self.geometry.core_px)
            for stain in Stain
            if self.arms.can_reconstruct(stain)
        }

    def place(self, part: Regions, region: int) -> int:
        """Return the number among all regions of a region of a part."""
        return int(np.searchsorted(self.regions.index, part.index[region]))

    def plain_weights(self) -> Path | None:
        """Return the plain generator that was given, alone or among comparisons."""
        settings = self.settings
        if settings.plain_generator is not None or settings.comparisons is None:
            return settings.plain_generator
        path = settings.comparisons / f"{PLAIN_GENERATOR}.safetensors"
        return path if path.is_file() else None

    def facts(self) -> dict[str, Any]:
        """Return what results say of the bundle."""
        card = self.bundle.card
        return {
            "name": card.name,
            "version": card.version,
            "sha256": self.bundle.sha256,
            "training_seed": card.seed,
            "trained_on": card.trained_on,
            "training_command": card.training_command,
            "classes": list(card.classes),
            "backend": self.backend,
        }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file; NaN is refused, for JSON has none."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
