"""How fast the default backend is beside torch in fp32 and MONAI's sliding window.

    python benchmarks/backends.py [OUT.json] [--bundle FOLDER] [--rounds N]

A view of 2048² px is run end to end: slides are read, tiles computed and stored.
MONAI's sliding window runs the same generator in fp32 over the same pixels with the
same tiles, and the classifier then scores the four cores; it neither judges the
reconstruction nor keeps anything. All sides take turns in the same process, in
another order each round, and medians are compared: of wall time, and of the seconds
that processors worked, which other programs on the machine change less.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from engine_parts import MPP, square
from engine_slides import write_textured_slide
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from rows import Rows, row_of

from napari_her2.inference.backend import available, choose, load
from napari_her2.inference.engine import run
from napari_her2.inference.forward import Network
from napari_her2.inference.identity import REFERENCE_BACKEND
from napari_her2.inference.store import open_store
from napari_her2.models.bundle import Bundle, load_bundle, shipped_bundle
from napari_her2.models.network import Her2Network, load_network, to_uint8
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.slide import open_slide

COMMAND = "python benchmarks/backends.py"
VIEW_PX, SLIDE_PX = 2048, 4096
GOAL = 2.5

row = partial(row_of, COMMAND)


@contextmanager
def opened(path: Path, *, both: bool) -> Iterator[SlidePair]:
    """Open an H&E slide, and itself as its IHC, nothing of it cached."""
    ihc = open_slide(path) if both else None
    with SlidePair(open_slide(path), ihc) as pair:
        yield pair


def view(
    path: Path, network: Network, bundle: Bundle, name: str, *, both: bool
) -> None:
    """Run a view end to end into an empty store.

    The view begins a tile away from the corner, so that every pixel is read. The
    run is forced: pixels are stored although the slide is no tissue.
    """
    with opened(path, both=both) as pair, tempfile.TemporaryDirectory() as folder:
        store = open_store(pair, bundle, backend=name, forced=True, root=Path(folder))
        start = bundle.card.core_px
        region = square(VIEW_PX, start, start)
        for _event in run(pair, network, bundle, [region], store):
            pass


def sliding_window(path: Path, network: Her2Network, *, both: bool) -> None:
    """Make the same pixels and score the same cores with MONAI's inferer."""
    halo, core, tile = network.halo_px, network.core_px, network.tile_px
    with opened(path, both=both) as pair, torch.inference_mode():
        seen = [_image(slide.levels[0], core, halo) for _, slide in pair.slides]
        made = sliding_window_inference(
            seen[0] * 2 - 1,
            roi_size=(tile, tile),
            sw_batch_size=1,
            predictor=network.generators["he_to_ihc"],
            overlap=2 * halo / tile,
        )
        inside = slice(halo, halo + VIEW_PX)
        synthetic = to_uint8(made[..., inside, inside])
        he = seen[0][..., inside, inside]
        ihc = seen[1][..., inside, inside] if both else synthetic.float() / 255
        for y, x in product(range(0, VIEW_PX, core), repeat=2):
            place = (..., slice(y, y + core), slice(x, x + core))
            network.classifier(he[place], ihc[place])


def _image(level: Any, core: int, halo: int) -> torch.Tensor:
    inside = slice(core - halo, core + VIEW_PX + halo)
    block: NDArray[np.uint8] = np.asarray(level[inside, inside])
    values = np.divide(block, 255, dtype=np.float32)
    return torch.from_numpy(values)[None].permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock and seconds of all processors."""

    wall: float
    busy: float


def seconds(act: Callable[[], None]) -> Spent:
    """Time one call."""
    began, busy = time.perf_counter(), time.process_time()
    act()
    return Spent(time.perf_counter() - began, time.process_time() - busy)


def compare(
    path: Path, bundle: Bundle, names: list[str], rounds: int, *, both: bool
) -> dict[str, Spent]:
    """Return the median seconds of each backend and of MONAI, taking turns."""
    networks = {name: load(bundle, name) for name in names}
    plain = load_network(bundle)
    sides: dict[str, Callable[[], None]] = {
        name: lambda name=name: view(path, networks[name], bundle, name, both=both)
        for name in names
    }
    sides["MONAI"] = lambda: sliding_window(path, plain, both=both)
    times: dict[str, list[Spent]] = {name: [] for name in sides}
    for attempt in range(rounds + 1):
        turns = deque(sides)
        turns.rotate(attempt)
        for name in turns:
            spent = seconds(sides[name])
            print(f"round {attempt}, {name}: {spent}", file=sys.stderr, flush=True)
            if attempt:  # the first warms up
                times[name].append(spent)
    return {
        name: Spent(median(s.wall for s in values), median(s.busy for s in values))
        for name, values in times.items()
    }


def rows(bundle: Bundle, rounds: int, *, every: bool = False) -> Rows:
    """Run the benchmark and return its rows.

    With ``every``, all that can be used is timed, else the default alone.
    """
    default = choose(bundle)
    offered = [offer.name for offer in available(bundle) if offer.reason is None]
    names = offered if every else list(dict.fromkeys([default, REFERENCE_BACKEND]))
    result: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_textured_slide(Path(folder) / "slide.tif", SLIDE_PX, MPP)
        for both, stains in ((False, "H&E alone"), (True, "H&E and IHC")):
            spent = compare(path, bundle, names, rounds, both=both)
            result.extend(_compared(f"view of 2048², {stains}", default, spent))
    return result


def _compared(what: str, default: str, spent: dict[str, Spent]) -> Rows:
    """Return ratios to the default, the others' to the reference, and seconds."""
    reference = spent[REFERENCE_BACKEND]
    title = f"{what}: {REFERENCE_BACKEND} / default ({default})"
    ratio = reference.wall / spent[default].wall
    result = [row(title, ratio, "x", at_least=GOAL)]
    result.append(
        row(f"{title}, processor time", reference.busy / spent[default].busy, "x")
    )
    result.append(
        row(
            f"{what}: MONAI sliding window, fp32 / default",
            spent["MONAI"].wall / spent[default].wall,
            "x",
        )
    )
    result.extend(
        row(f"{what}: {REFERENCE_BACKEND} / {name}", reference.wall / each.wall, "x")
        for name, each in spent.items()
        if name not in (default, REFERENCE_BACKEND, "MONAI")
    )
    result.extend(row(f"{what}: {n}", each.wall, "s") for n, each in spent.items())
    return result


def main() -> None:
    """Print the rows, and write them to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", action="store_true", help="time every backend")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    result = rows(bundle, arguments.rounds, every=arguments.every)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
