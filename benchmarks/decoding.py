"""What it costs to decode a slide in a worker process, against in this process.

Both ways are taken by turns over the same blocks of the same file, so that a busy
machine slows both; the figures are medians, and ratios are what counts.

    python benchmarks/decoding.py OUT.json
"""

from __future__ import annotations

import functools
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import tifffile
from engine_slides import texture, write_textured_slide
from rows import row_of

from napari_her2.slides.slide import Slide, open_slide

COMMAND: Final = "python benchmarks/decoding.py"
row = functools.partial(row_of, COMMAND)
SIDE_PX: Final = 8192
HUGE_PX: Final = (80_000, 100_000)
TURNS: Final = 7
THREADS: Final = 4
WAYS: Final = {"worker": False, "in process": True}


def write_huge_slide(path: Path) -> Path:
    """Write a pyramid of 100,000 × 80,000 px that repeats one tile."""
    tile = texture()[:512, :512]
    height, width = HUGE_PX
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(8):
            shape = (-(-height >> level), -(-width >> level))
            n_tiles = -(-shape[0] // 512) * -(-shape[1] // 512)
            tiff.write(
                (tile for _ in range(n_tiles)),
                shape=(*shape, 3),
                dtype="uint8",
                tile=(512, 512),
                compression="jpeg",
                photometric="rgb",
                resolution=(40000, 40000),
                resolutionunit="CENTIMETER",
                metadata=None,
                subfiletype=0 if level == 0 else 1,
            )
    return path


def seconds(act: Callable[[], Any]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def blocks_of(slide: Slide) -> tuple[Any, list[tuple[int, int]]]:
    """Return level 0 before any cache, and the places of its blocks."""
    level = slide._source.levels[0]
    side = SIDE_PX // level.block_px[0]
    return level, [(row, col) for row in range(side) for col in range(side)]


def one_by_one(slide: Slide) -> list[float]:
    """Return the seconds of each block, read one after the other."""
    level, places = blocks_of(slide)
    return [seconds(lambda place=place: level.read_block(*place)) for place in places]


def together(slide: Slide, pool: ThreadPoolExecutor) -> float:
    """Return the seconds for all blocks, read by several threads."""
    level, places = blocks_of(slide)
    return seconds(
        lambda: list(pool.map(lambda place: level.read_block(*place), places))
    )


def measure(path: Path) -> dict[str, dict[str, float]]:
    """Return medians of both ways, taken by turns."""
    found: dict[str, dict[str, list[float]]] = {
        way: {"open": [], "p50": [], "p95": [], "all": []} for way in WAYS
    }
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(TURNS):
            for way, in_process in WAYS.items():
                began = time.perf_counter()
                slide = open_slide(path, in_process=in_process)
                figures = found[way]
                figures["open"].append(time.perf_counter() - began)
                times = one_by_one(slide)
                figures["p50"].append(float(np.percentile(times, 50)))
                figures["p95"].append(float(np.percentile(times, 95)))
                figures["all"].append(together(slide, pool))
                slide.close()
    return {
        way: {name: float(np.median(values)) for name, values in figures.items()}
        for way, figures in found.items()
    }


def opening(path: Path) -> tuple[float, float, float]:
    """Return seconds in a worker, its processor time, and worker / in process."""
    walls: dict[str, list[float]] = {way: [] for way in WAYS}
    worked = []
    for _ in range(5):
        for way, in_process in WAYS.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            slide = functools.partial(open_slide, path, in_process=in_process)
            walls[way].append(seconds(lambda slide=slide: slide().close()))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if not in_process:
                spent = after.ru_utime + after.ru_stime
                worked.append(spent - before.ru_utime - before.ru_stime)
    through, direct = (float(np.median(walls[way])) for way in WAYS)
    return through, float(np.median(worked)), through / direct


def main() -> None:
    """Measure and write rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_textured_slide(Path(folder) / "a.ome.tif", SIDE_PX, 0.5)
        found = measure(path)
        huge = write_huge_slide(Path(folder) / "huge.tif")
        opened, opened_cpu, opened_ratio = opening(huge)
        with open_slide(path) as slide:
            worker = psutil.Process(slide._source.levels[0]._guard._decoder.pid)
            idle_mb = worker.memory_full_info().uss / 1e6
    through, direct = found["worker"], found["in process"]
    n_blocks = (SIDE_PX // 512) ** 2
    rows = [
        row("block through a worker, 512 px JPEG (median)", through["p50"] * 1e3, "ms"),
        row("block, worker / in process (median)", through["p50"] / direct["p50"], "x"),
        row("block, worker / in process (p95)", through["p95"] / direct["p95"], "x"),
        row(
            f"blocks by {THREADS} threads through a worker",
            n_blocks / through["all"],
            "/s",
        ),
        row(
            f"time for blocks by {THREADS} threads, worker / in process",
            through["all"] / direct["all"],
            "x",
        ),
        row("starting a worker", through["open"] - direct["open"], "s"),
        row("opening 100,000 × 80,000 px in a worker", opened, "s", 2.0),
        row("opening 100,000 × 80,000 px, processor time", opened_cpu, "s"),
        row("opening 100,000 × 80,000 px, worker / in process", opened_ratio, "x"),
        row("memory of a worker of its own", idle_mb, "MB"),
    ]
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows))
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
