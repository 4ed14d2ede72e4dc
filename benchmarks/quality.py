"""How surely artefacts are found, how often clean tissue is blamed, and how fast.

Virtual fields of seeds that no threshold was set on, each as it is and with an
artefact of every kind in turn, are assessed as slides; an artefact counts as found if
it is named, at least as a warning, and its mask meets the truth. The real images are
those of the folder given, or of NAPARI_HER2_DATA; without one their rows are left out.

    python benchmarks/quality.py ROWS.json [DATA] [--first SEED] [--seeds N]
                                 [--fields FOLDER] [--workers N]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from quality_fields import Job, look_at_control, look_at_field, virtual_field
from quality_real import (
    REAL_BLANK,
    REAL_PEN,
    REAL_TISSUE,
    look_at_slides,
    look_at_tiles,
    n_blocked,
    n_named,
)

from napari_her2.core.score import Stain
from napari_her2.slides.quality.assess import assess_quality
from napari_her2.slides.quality.finding import FindingKind
from napari_her2.slides.slide import Slide
from napari_her2.slides.source import SlideSource

FIRST_SEED, N_SEEDS = 401, 50
FIRST_CONTROL, N_CONTROLS = 601, 40
COMMAND = "python benchmarks/quality.py ROWS.json DATA"

Row = dict[str, Any]


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


def field_rows(jobs: list[Job], workers: int) -> list[Row]:
    """Assess the virtual fields, clean and spoiled."""
    hits: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    alarmed = 0
    with ProcessPoolExecutor(workers) as pool:
        for done in pool.map(look_at_field, jobs):
            print(json.dumps(done), flush=True)
            alarmed += bool(done["alarms"])
            for kind, hit, _ in done["found"]:
                tried[kind] += 1
                hits[kind] += hit
    each = [
        row(f"virtual {kind} found", 100 * hits[kind] / n, f"% of {n}", 95)
        for kind, n in tried.items()
    ]
    n_all, n = tried.total(), len(jobs)
    found = 100 * hits.total() / n_all
    clean = "clean virtual fields with any alarm"
    return [
        *each,
        row("virtual artefacts found", found, f"% of {n_all}", 95),
        row(clean, 100 * alarmed / n, f"% of {n}", 5, at_most=True),
    ]


def control_rows() -> list[Row]:
    """Assess slides with control tissue, good and bad."""
    seeds = range(FIRST_CONTROL, FIRST_CONTROL + N_CONTROLS)
    looked = [look_at_control(seed) for seed in seeds]
    for one in looked:
        print(json.dumps(one, ensure_ascii=False), flush=True)
    of = f"of {N_CONTROLS}"
    passed = sum(one["good"] is not None and one["good"][0] == "note" for one in looked)
    failed = sum(one["bad"] is not None and one["bad"][0] == "block" for one in looked)
    least = 0.95 * N_CONTROLS
    return [
        row("good control tissue passed", passed, of, least),
        row("bad control tissue blocked", failed, of, least),
    ]


def real_rows(data: Path) -> list[Row]:
    """Assess the real images."""
    pens, blanks, tissue = (
        look_at_tiles(data, names) for names in (REAL_PEN, REAL_BLANK, REAL_TISSUE)
    )
    slides = look_at_slides(data)
    for name, report in {**tissue, **blanks, **pens, **slides}.items():
        print(name, [(str(f.kind), str(f.severity)) for f in report.findings])
    third = dict([list(slides.items())[2]])
    blob = n_named(third, FindingKind.SMUDGE, as_note=True)
    pen, blank = FindingKind.PEN, FindingKind.NO_TISSUE
    return [
        row("real tiles with pen named", n_named(pens, pen), "of 9", 9),
        row("real blank tiles named", n_named(blanks, blank), "of 7", 7),
        row("real tissue tiles blocked", n_blocked(tissue), "of 10", 0, at_most=True),
        row(
            "real cores and slides blocked", n_blocked(slides), "of 6", 0, at_most=True
        ),
        row("grey blob on the third HER2 core named", blob, "of 1", 1),
    ]


def row(
    name: str, value: float, unit: str, goal: float, *, at_most: bool = False
) -> Row:
    """Return one row for benchmarks/run.py."""
    return {
        "name": f"quality: {name}",
        "value": value,
        "unit": unit,
        "goal": f"{'at most' if at_most else 'at least'} {goal:g}",
        "met": value <= goal if at_most else value >= goal,
        "command": COMMAND,
    }


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--fields", type=Path, help="keeps rendered fields")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.fields is not None:
        given.fields.mkdir(parents=True, exist_ok=True)
    seeds = range(given.first, given.first + given.seeds)
    jobs = [Job(seed, stain, given.fields) for seed in seeds for stain in Stain]
    rows = field_rows(jobs, given.workers) + control_rows()
    data = given.data or os.environ.get("NAPARI_HER2_DATA")
    if data is not None:
        rows += real_rows(Path(data))
    seconds, large = seconds_on_a_large_slide(), "40,000 × 30,000 px slide assessed"
    rows.append(row(large, seconds, "s", 30, at_most=True))
    given.rows.write_text(json.dumps(rows, indent=2))
    for one in rows:
        print(one["name"], f"{one['value']:.4g}", one["unit"], one["goal"], one["met"])


if __name__ == "__main__":
    main()
