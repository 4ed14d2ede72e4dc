"""How surely artefacts are found, how often clean tissue is blamed, and how fast.

Virtual fields of seeds that no threshold was set on, each once as it is and with two
artefacts in turn, are assessed as slides; an artefact counts as found if it is named,
at least as a warning, and its mask meets the truth. The real images are those of the
folder given, or of NAPARI_HER2_DATA; without one their rows are left out.

    python benchmarks/quality.py ROWS.json [DATA]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.artefacts import Field, white_of
from napari_her2.phantom.artefacts_control import ControlCores
from napari_her2.phantom.artefacts_draw import ArtefactKind, draw_artefact
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import FindingKind, QualityReport, Severity
from napari_her2.slides.slide import Slide, open_slide
from napari_her2.slides.source import SlideSource

FIRST_SEED, N_SEEDS, N_EACH = 301, 50, 2
N_CONTROLS = 8
SIZE_UM = (1100.0, 1400.0)
MPP = 1.0
OVERLAP = 0.2
COMMAND = "python benchmarks/quality.py ROWS.json DATA"

K, F = ArtefactKind, FindingKind
NAMED: dict[ArtefactKind, tuple[FindingKind, ...]] = {
    K.PEN: (F.PEN,),
    K.FOLD: (F.FOLD,),
    K.BUBBLE: (F.BUBBLE,),
    K.DROPLETS: (F.DROPLETS,),
    # dirt that lets nothing through is no other thing than black ink
    K.SMUDGE: (F.SMUDGE, F.PEN),
    K.FOCUS_PATCH: (F.OUT_OF_FOCUS,),
    K.FOCUS_FIELD: (F.OUT_OF_FOCUS,),
    K.CRUSH: (F.CRUSH,),
    K.EDGE: (F.EDGE,),
    # so pale that hardly any tissue is seen
    K.WEAK: (F.WEAK, F.NO_TISSUE),
    K.STRONG: (F.STRONG,),
}

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

Row = dict[str, Any]


def slide_of(image: np.ndarray, mpp: float) -> Slide:
    """Return a field in memory as a slide."""
    source = SlideSource([ArrayBlocks(image)], mpp, "blake2b:00", lambda: None)
    return Slide(Path("field"), source)


def virtual_field(seed: int, stain: Stain) -> Field:
    """Render one field."""
    height, width = SIZE_UM
    recipe = draw_recipe(seed, width_um=width, height_um=height, mpp=MPP)
    pair = VirtualPair(recipe)
    box = BoxPx.of_shape(pair.shape_px(stain))
    return Field(pair.render(stain, box), MPP, stain)


def is_found(report: QualityReport, kind: ArtefactKind, truth: np.ndarray) -> bool:
    """Whether an artefact is named as a warning or worse, where it lies."""
    for finding in report.findings:
        if finding.kind not in NAMED[kind] or finding.severity is Severity.NOTE:
            continue
        if finding.mask is None:
            return True
        rows, cols = (
            np.minimum((np.arange(n) / finding.pixel_px).astype(int), side - 1)
            for n, side in zip(truth.shape, finding.mask.shape, strict=True)
        )
        mask = finding.mask[np.ix_(rows, cols)]
        # a pen is a rim round what it hides as little as a bubble is its rim
        if (mask & truth).sum() >= OVERLAP * truth.sum():
            return True
    return False


def look_at_field(job: tuple[int, Stain]) -> Row:
    """Assess one field clean and with its artefacts."""
    seed, stain = job
    field = virtual_field(seed, stain)
    report = assess_quality(slide_of(field.image, MPP), stain)
    alarms = [str(f.kind) for f in report.findings if f.severity is not Severity.NOTE]
    found = []
    kinds = list(ArtefactKind)
    first = 2 * N_EACH * (seed - FIRST_SEED) + (N_EACH if stain is Stain.IHC else 0)
    for index in range(N_EACH):
        kind = kinds[(first + index) % len(kinds)]
        spoiled = draw_artefact(kind, seed, field).lay_over(field)
        report = assess_quality(slide_of(spoiled.field.image, MPP), stain)
        hit = is_found(report, kind, spoiled.mask)
        named = [f"{f.kind} ({f.severity})" for f in report.findings]
        found.append([str(kind), hit, named])
    return {"seed": seed, "stain": str(stain), "alarms": alarms, "found": found}


def look_at_control(seed: int) -> Row:
    """Assess an IHC slide with a good control, and with one that failed."""
    recipe = draw_recipe(seed, width_um=1800, height_um=1200, mpp=2.0)
    pair = VirtualPair(recipe)
    image = pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))
    height, width, _ = image.shape
    glass = np.random.default_rng(seed).normal(white_of(image), 1, (450, width, 3))
    image = np.concatenate([image, glass.clip(0, 255).astype(np.uint8)])
    field = Field(image, 2.0, Stain.IHC)
    good = (Score.ZERO, Score.ONE, Score.THREE)
    bad = [(Score.ZERO, Score.ZERO, Score.ONE), (Score.THREE,) * 3][seed % 2]
    place = ((height + 225) * 2.0, 900.0)
    answers = []
    for scores in (good, bad):
        cores = ControlCores(place, 400.0, scores, seed, recipe.ihc)
        report = assess_quality(
            slide_of(cores.lay_over(field).field.image, 2.0), field.stain
        )
        finding = report.of(F.CONTROL)
        answers.append(
            None if finding is None else [str(finding.severity), finding.sentence]
        )
    return {"seed": seed, "good": answers[0], "bad": answers[1]}


class Endless:
    """Blocks of a large slide: JPEG tiles of one field over and over, decoded anew."""

    def __init__(self, image: np.ndarray, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.block_px = (256, 256)
        self._rows, self._cols = (max(1, n // 256) for n in image.shape[:2])
        self._tiles = [
            imagecodecs.jpeg_encode(
                np.ascontiguousarray(
                    image[256 * r : 256 * r + 256, 256 * c : 256 * c + 256]
                ),
                level=80,
            )
            for r in range(self._rows)
            for c in range(self._cols)
        ]

    def read_block(self, row: int, col: int) -> np.ndarray:
        """Decode one tile."""
        at = (row % self._rows) * self._cols + col % self._cols
        block = imagecodecs.jpeg_decode(self._tiles[at])
        return block[: self.shape[0] - 256 * row, : self.shape[1] - 256 * col]


def seconds_on_a_large_slide() -> float:
    """Time 40,000 × 30,000 px at 0.25 µm/px, levels by factors of 4."""
    field = virtual_field(1, Stain.IHC)
    fine = np.repeat(np.repeat(field.image[:768, :1024], 4, 0), 4, 1)
    coarse = field.image[: 768 // 4 * 4, :1024].reshape(192, 4, 256, 4, 3).mean((1, 3))
    # the coarse level must fill a whole tile
    coarse = np.tile(coarse.astype(np.uint8), (2, 1, 1))[:256]
    levels = [
        Endless(fine, (30_000, 40_000)),
        Endless(field.image[:768, :1024], (7_500, 10_000)),
        Endless(coarse, (1_875, 2_500)),
    ]
    slide = Slide(Path("large"), SlideSource(levels, 0.25, "blake2b:01", lambda: None))
    began = time.perf_counter()
    report = assess_quality(slide, Stain.IHC)
    assert report.n_tiles == 200
    return time.perf_counter() - began


def real_rows(data: Path) -> list[Row]:
    """Assess the real images."""
    tiles = data / "he_tiles_histolab"

    def seen(path: Path, stain: Stain) -> QualityReport:
        with open_slide(path) as slide:
            return assess_quality(slide, stain)

    def tile(name: str) -> QualityReport:
        stain = Stain.IHC if "ihc" in name else Stain.HE
        return seen(tiles / f"{name}.png", stain)

    pens = {n: tile(n) for n in REAL_PEN}
    pen_found = sum(
        any(f.kind is F.PEN and f.severity is not Severity.NOTE for f in r.findings)
        for r in pens.values()
    )
    blanks = {n: tile(n) for n in REAL_BLANK}
    blank_found = sum(r.of(F.NO_TISSUE) is not None for r in blanks.values())
    tissue = {n: tile(n) for n in REAL_TISSUE}
    lost = [n for n, r in tissue.items() if r.blocking]
    cores = sorted((data / "her2_ihc_tma_esophagus/example_images").glob("*.jpg"))
    others = [(path, Stain.IHC) for path in cores] + [
        (data / "wsi_vendor_formats/CMU-1-Small-Region.svs", Stain.HE),
        (data / "wsi_vendor_formats/svs-images/tcga-cr-7395-01a-01-ts1.svs", Stain.HE),
        (data / "he_example_instanseg/instanseg/examples/HE_example.tif", Stain.HE),
    ]
    reports = [seen(path, stain) for path, stain in others]
    blob = reports[2].of(F.SMUDGE)
    for (path, _), report in zip(others, reports, strict=True):
        print(path.name[:30], [(str(f.kind), str(f.severity)) for f in report.findings])
    for name, report in {**tissue, **blanks, **pens}.items():
        print(name, [(str(f.kind), str(f.severity)) for f in report.findings])
    return [
        row("real tiles with pen named", pen_found, "of 9", 9),
        row("real blank tiles named", blank_found, "of 7", 7),
        row("real tissue tiles blocked", len(lost), "of 10", 0, at_most=True),
        row(
            "real cores and slides blocked",
            sum(bool(r.blocking) for r in reports),
            f"of {len(reports)}",
            0,
            at_most=True,
        ),
        row("grey blob on the third HER2 core named", int(blob is not None), "of 1", 1),
    ]


def row(
    name: str, value: float, unit: str, goal: float | None, *, at_most: bool = False
) -> Row:
    """Return one row for benchmarks/run.py."""
    met = None if goal is None else (value <= goal if at_most else value >= goal)
    sign = "at most" if at_most else "at least"
    return {
        "name": f"quality: {name}",
        "value": value,
        "unit": unit,
        "goal": None if goal is None else f"{sign} {goal:g}",
        "met": met,
        "command": COMMAND,
    }


def virtual_rows(n_seeds: int) -> list[Row]:
    """Assess the virtual fields."""
    jobs = [(s, t) for s in range(FIRST_SEED, FIRST_SEED + n_seeds) for t in Stain]
    hits: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    n_alarmed = 0
    with ProcessPoolExecutor(2) as pool:
        for done in pool.map(look_at_field, jobs):
            print(json.dumps(done), flush=True)
            n_alarmed += bool(done["alarms"])
            alarms.update(done["alarms"])
            for kind, hit, _ in done["found"]:
                tried[kind] += 1
                hits[kind] += hit
        controls = list(pool.map(look_at_control, range(1, N_CONTROLS + 1)))
    for one in controls:
        print(json.dumps(one, ensure_ascii=False))
    total = sum(tried.values())
    rows = [
        row(f"virtual {kind} found", 100 * hits[kind] / n, f"% of {n}", 95)
        for kind, n in tried.items()
    ]
    rows.append(
        row(
            "virtual artefacts found",
            100 * sum(hits.values()) / total,
            f"% of {total}",
            95,
        )
    )
    alarmed = row(
        "clean virtual fields with any alarm",
        100 * n_alarmed / len(jobs),
        f"% of {len(jobs)}",
        5,
        at_most=True,
    )
    rows.append(alarmed)
    passed = sum(c["good"] is not None and c["good"][0] == "note" for c in controls)
    failed = sum(c["bad"] is not None and c["bad"][0] == "block" for c in controls)
    rows.append(
        row("good control tissue passed", passed, f"of {N_CONTROLS}", N_CONTROLS)
    )
    rows.append(
        row("bad control tissue blocked", failed, f"of {N_CONTROLS}", N_CONTROLS)
    )
    print(dict(alarms))
    return rows


def rows(data: Path | None, n_seeds: int = N_SEEDS) -> list[Row]:
    """Measure everything."""
    out = virtual_rows(n_seeds)
    if data is not None and data.is_dir():
        out += real_rows(data)
    large = partial(row, "40,000 × 30,000 px slide assessed", at_most=True)
    out.append(large(seconds_on_a_large_slide(), "s", 30))
    return out


if __name__ == "__main__":
    given = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("NAPARI_HER2_DATA")
    seeds = int(os.environ.get("QUALITY_SEEDS", N_SEEDS))
    made = rows(None if given is None else Path(given), seeds)
    Path(sys.argv[1]).write_text(json.dumps(made, indent=2))
    for one in made:
        print(one["name"], f"{one['value']:.4g}", one["unit"], one["goal"], one["met"])
