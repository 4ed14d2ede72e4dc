"""What the engine costs beyond the network, and what it keeps from growing.

    python benchmarks/engine.py [OUT.json] [--bundle FOLDER] [--only NAME ...]

Ratios within one run are what counts: both sides are timed alternately in the
same process, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import tifffile
import torch
from engine_parts import MPP, NullNetwork, Timed, null_bundle, opened, row, square
from engine_slides import write_textured_slide
from numpy.typing import NDArray
from rows import Rows

from napari_her2.core.progress import RunStarted, TileDone
from napari_her2.inference.backend import choose, load
from napari_her2.inference.engine import run
from napari_her2.inference.forward import Network
from napari_her2.inference.grid import useful_share
from napari_her2.inference.identity import REFERENCE_BACKEND
from napari_her2.inference.store import ResultStore, open_store
from napari_her2.models.bundle import Bundle, load_bundle, shipped_bundle
from napari_her2.models.network import Her2Network, load_network
from napari_her2.slides.pair import SlidePair

SIDE_PX, TILE_PX = 10_240, 512


@contextmanager
def fresh_store(
    pair: SlidePair, bundle: Bundle, backend: str = "auto"
) -> Iterator[ResultStore]:
    """Open an empty store for a backend and remove it afterwards.

    Runs are forced: the slides are no tissue, and their pixels shall be stored.
    """
    with tempfile.TemporaryDirectory() as folder:
        name = choose(bundle, wanted=backend)
        yield open_store(pair, bundle, backend=name, forced=True, root=Path(folder))


def overhead(folder: Path, _: Bundle) -> Rows:
    """Time the engine and a plain loop with a network that does nothing."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    n_tiles = (SIDE_PX // TILE_PX) ** 2
    bundle = null_bundle(TILE_PX, 0)
    network = NullNetwork(TILE_PX)
    engine_ms, loop_ms = [], []
    for _repeat in range(5):
        with opened(path) as pair:
            began = time.perf_counter()
            _plain_loop(pair, network)
            loop_ms.append((time.perf_counter() - began) / n_tiles * 1e3)
        with opened(path) as pair, fresh_store(pair, bundle) as store:
            began = time.perf_counter()
            for _event in run(pair, network, bundle, [square(SIDE_PX)], store):
                pass
            engine_ms.append((time.perf_counter() - began) / n_tiles * 1e3)
    share = [e / p for e, p in zip(engine_ms, loop_ms, strict=True)]
    return [
        row("engine, per 512 px tile of 10,240²", median(engine_ms), "ms", 4),
        row("plain loop with read-ahead, per 512 px tile", median(loop_ms), "ms"),
        row("engine / plain loop", median(share), ""),
    ]


def _plain_loop(pair: SlidePair, network: NullNetwork) -> None:
    """Read ahead, compute, paste into memory; nothing is kept or shown."""
    level = pair.reference.levels[0]
    out = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)

    def read(y: int, x: int) -> tuple[int, int, NDArray[np.float32]]:
        block = level[y : y + TILE_PX, x : x + TILE_PX]
        return y, x, np.divide(block, 255, dtype=np.float32)

    def take(future: Future[tuple[int, int, NDArray[np.float32]]]) -> None:
        y, x, image = future.result()
        output = network(torch.from_numpy(image).permute(2, 0, 1)[None], None)
        assert output.synthetic_ihc is not None
        pixels = output.synthetic_ihc[0].permute(1, 2, 0).numpy()
        out[y : y + TILE_PX, x : x + TILE_PX] = pixels

    with ThreadPoolExecutor(2) as readers:
        ahead: deque[Future[tuple[int, int, NDArray[np.float32]]]] = deque()
        for y in range(0, SIDE_PX, TILE_PX):
            for x in range(0, SIDE_PX, TILE_PX):
                ahead.append(readers.submit(read, y, x))
                if len(ahead) > 4:
                    take(ahead.popleft())
        while ahead:
            take(ahead.popleft())


def tile_read(folder: Path, _: Bundle) -> Rows:
    """Time reading a tile of a slide against tifffile decoding its segment."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    n = SIDE_PX // TILE_PX
    ours, theirs = [], []
    with opened(path) as pair, tifffile.TiffFile(path) as tiff:
        level, page = pair.reference.levels[0], tiff.pages.first
        for k in range(n * n):
            began = time.perf_counter()
            tiff.filehandle.seek(page.dataoffsets[k])
            data = tiff.filehandle.read(page.databytecounts[k])
            page.decode(data, k, jpegtables=page.jpegtables)
            theirs.append(time.perf_counter() - began)
            y, x = (i * TILE_PX for i in divmod(k, n))
            began = time.perf_counter()
            level[y : y + TILE_PX, x : x + TILE_PX]
            ours.append(time.perf_counter() - began)
    return [
        row("tile read, 512 px JPEG", median(ours) * 1e3, "ms"),
        row("tile read / tifffile's segment decode", median(ours) / median(theirs), ""),
    ]


def first_tile(folder: Path, bundle: Bundle) -> Rows:
    """Time from run to the first tile against a forward pass on its own."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    network = load(bundle, choose(bundle))
    side_px = bundle.card.core_px + 2 * bundle.card.halo_px
    tile = torch.rand(1, 3, side_px, side_px)
    tile = tile.contiguous(memory_format=torch.channels_last)
    forward_s, first_s = [], []
    _forward_s(network, tile)
    for _repeat in range(7):
        forward_s.append(_forward_s(network, tile))
        with opened(path) as pair, fresh_store(pair, bundle) as store:
            began = time.perf_counter()
            view = square(4 * bundle.card.core_px)
            events = run(pair, network, bundle, [view], store)
            while not isinstance(next(events), TileDone):
                pass
            first_s.append(time.perf_counter() - began)
            events.close()
    ratio = median(first_s) / median(forward_s)
    return [
        row("run to first visible tile", median(first_s), "s"),
        row("run to first visible tile / forward pass", ratio, "", 1.3),
    ]


def _forward_s(network: Network, tile: torch.Tensor) -> float:
    began = time.perf_counter()
    with torch.inference_mode():
        network(tile, None)
    return time.perf_counter() - began


def network_share(folder: Path, bundle: Bundle) -> Rows:
    """Compare wall time with time inside the network, over 16 tiles."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    network = load(bundle, choose(bundle))
    side_px = 4 * bundle.card.core_px
    ratios = []
    for _repeat in range(3):
        timed = Timed(network)
        with opened(path) as pair, fresh_store(pair, bundle) as store:
            began = time.perf_counter()
            for _event in run(pair, timed, bundle, [square(side_px)], store):
                pass
            ratios.append((time.perf_counter() - began) / sum(timed.seconds))
    return [row("wall time / time inside the network", median(ratios), "", 1.03)]


def undivided(folder: Path, bundle: Bundle) -> Rows:
    """Compare tiles with one pass over the same 2048² region, both in torch fp32."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    network, side_px = load_network(bundle), 2048
    whole = Her2Network(
        network.config,
        core_px=side_px,
        halo_px=network.halo_px,
        attention_scale=network.attention_scale,
        gate=network.gate,
        familiarity=network.familiarity,
        policy=network.policy,
        ihc_to_he="ihc_to_he" in network.generators,
        selector=network.selector is not None,
    )
    whole.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, whole.tile_px, whole.tile_px)
    image = image.contiguous(memory_format=torch.channels_last)
    tiled_s, whole_s = [], []
    for _repeat in range(3):
        whole_s.append(_forward_s(whole, image))
        with (
            opened(path) as pair,
            fresh_store(pair, bundle, REFERENCE_BACKEND) as store,
        ):
            began = time.perf_counter()
            for _event in run(pair, network, bundle, [square(side_px)], store):
                pass
            tiled_s.append(time.perf_counter() - began)
    share = median(whole_s) / median(tiled_s)
    return [row("throughput in tiles / one undivided pass, 2048²", share, "")]


def half_shift(folder: Path, _: Bundle) -> Rows:
    """Count what a view shifted by half computes again."""
    path = write_textured_slide(folder / "10k.tif", SIDE_PX, MPP)
    bundle, network = null_bundle(TILE_PX, 0), NullNetwork(TILE_PX)
    with opened(path) as pair, fresh_store(pair, bundle) as store:
        counts = []
        for x0 in (0, 1024):
            timed = Timed(network)
            events = run(pair, timed, bundle, [square(2048, 0, x0)], store)
            started = next(events)
            assert isinstance(started, RunStarted)
            for _event in events:
                pass
            counts.append(len(timed.seconds))
    return [
        row("view shifted by half: new tiles computed of 8", counts[1], "tiles", 8),
        row("view shifted by half: computed again", counts[1] - 8, "tiles", 0),
    ]


def useful(_: Path, bundle: Bundle) -> Rows:
    """State the share of computed pixels that is kept."""
    share = useful_share(bundle.card.core_px, bundle.card.halo_px)
    return [row("useful share of computed pixels", 100 * share, "%", at_least=70)]


def memory(folder: Path, bundle: Bundle) -> Rows:
    """Measure resident memory of runs with a network that does nothing."""
    region = _measure(folder, SIDE_PX, TILE_PX, 0)
    card = bundle.card
    small, large = (
        _measure(folder, side_px, card.core_px, card.halo_px)
        for side_px in (8192, 32768)
    )
    return [
        row(
            "memory beside the output, 10,240²",
            region["peak"] - region["before"],
            "MB",
            250,
        ),
        row("peak memory, whole slide of 8k²", small["peak"], "MB"),
        row("peak memory, whole slide of 32k²", large["peak"], "MB"),
        row("peak memory 32k² / 8k²", large["peak"] / small["peak"], "", 1.2),
    ]


def _measure(
    folder: Path, side_px: int, core_px: int, halo_px: int
) -> dict[str, float]:
    path = write_textured_slide(folder / f"{side_px // 1000}k.tif", side_px, MPP)
    script = Path(__file__).with_name("engine_memory.py")
    with tempfile.TemporaryDirectory(dir=folder) as store:
        sizes = map(str, (side_px, core_px, halo_px))
        answer = subprocess.run(
            [sys.executable, script, path, *sizes, store],
            check=True,
            capture_output=True,
            text=True,
        )
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


PARTS: dict[str, Callable[[Path, Bundle], Rows]] = {
    part.__name__: part
    for part in (
        overhead,
        tile_read,
        first_tile,
        network_share,
        undivided,
        half_shift,
        useful,
        memory,
    )
}


def rows(
    bundle: Bundle | None = None,
    only: list[str] | None = None,
    folder: Path | None = None,
) -> Rows:
    """Run the benchmarks and return their rows; slides are kept in ``folder``."""
    scratch = folder or Path(tempfile.mkdtemp())
    try:
        chosen = bundle or load_bundle(shipped_bundle())
        return [r for name in only or PARTS for r in PARTS[name](scratch, chosen)]
    finally:
        if folder is None:
            shutil.rmtree(scratch)


def main() -> None:
    """Print the rows, and write them to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--bundle", type=Path, default=shipped_bundle())
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--slides", type=Path, help="keep the slides here")
    arguments = parser.parse_args()
    result = rows(load_bundle(arguments.bundle), arguments.only, arguments.slides)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
