"""What an evaluation is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_her2.core.errors import UsageError
from napari_her2.evaluation.progress import Stage
from napari_her2.inference.backend import AUTO

SIGNALS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Morphology signals of the curve."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One evaluation.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    out
        Folder of the results.
    cache
        Folder of rendered slides and reconstructions, ``out/cache`` if None; may
        be shared by evaluations of several bundles.
    data
        Folder of image pairs; None for virtual slides.
    slides, regions_per_slide
        Virtual slides and regions of each.
    signal
        Morphology signal of the virtual slides.
    seed
        Of the virtual slides and of the bootstrap.
    stages
        What to measure.
    comparisons, plain_generator
        Other weights, see :mod:`napari_her2.evaluation.comparisons`.
    extractor
        Weights of a feature extractor for FID, KID and MRA.
    ladder_regions, translation_regions, shift_regions
        The expensive stages take the first slides with about so many regions.
    curve_slides
        Slides of each point of the morphology curve.
    device
        Where to compute.
    backend
        What computes, see :mod:`napari_her2.inference.backend`: what the product
        would use, or a name.
    processes
        Processes that render slides and, on a CPU, work on regions; with fewer than
        two the calling one works on regions, with 0 it renders too.
    """

    bundle: Path
    out: Path
    cache: Path | None = None
    data: Path | None = None
    slides: int = 200
    regions_per_slide: int = 3
    signal: float = 0.5
    seed: int = 1
    stages: tuple[Stage, ...] = tuple(Stage)
    comparisons: Path | None = None
    plain_generator: Path | None = None
    extractor: Path | None = None
    ladder_regions: int = 100
    translation_regions: int = 200
    shift_regions: int = 60
    curve_slides: int = 100
    device: str = "cpu"
    backend: str = AUTO
    processes: int = 2

    def __post_init__(self) -> None:
        if min(self.slides, self.curve_slides) < 2 or self.regions_per_slide < 1:
            raise UsageError(
                f"{self.slides} slides with {self.regions_per_slide} regions are too "
                "few.",
                "Give at least two slides and one region of each.",
            )
        if not 0 <= self.signal <= 1 or self.seed < 0:
            raise UsageError(
                f"The signal {self.signal} or the seed {self.seed} is out of range.",
                "Give a signal between 0 and 1 and a seed of 0 or more.",
            )

    @property
    def cache_dir(self) -> Path:
        """Where rendered slides are kept."""
        return self.cache or self.out / "cache"

    def to_json(self) -> dict[str, object]:
        """Return what results must say of how they were made, without paths."""
        return {
            "slides": self.slides,
            "regions_per_slide": self.regions_per_slide,
            "signal": self.signal,
            "seed": self.seed,
            "stages": [stage.value for stage in self.stages],
            "ladder_regions": self.ladder_regions,
            "translation_regions": self.translation_regions,
            "shift_regions": self.shift_regions,
            "curve_slides": self.curve_slides,
            "device": self.device,
        }
