"""Print what a run over a whole slide takes, as JSON; a process of its own.

python benchmarks/big_slide_memory.py SLIDE STORE_FOLDER
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import psutil
from engine_parts import NullNetwork, null_bundle, opened

from napari_her2.core.geometry import BoxPx
from napari_her2.core.progress import RunStarted
from napari_her2.core.region import Region
from napari_her2.inference.engine import run
from napari_her2.inference.store import open_store
from napari_her2.slides.tissue import find_tissue

CORE_PX, HALO_PX = 1024, 64


def main() -> None:
    """Run and print ``peak`` (resident MB), ``computed`` and ``tiles``."""
    path, store_folder = Path(sys.argv[1]), Path(sys.argv[2])
    bundle = null_bundle(CORE_PX, HALO_PX)
    process, stop, peak = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    with opened(path) as pair:
        watcher = threading.Thread(target=watch)
        watcher.start()
        whole = BoxPx.of_shape(pair.reference.shape)
        region = Region.from_box("slide", "Whole slide", whole)
        store = open_store(pair, bundle, forced=True, root=store_folder)
        tissue = find_tissue(pair.reference)
        n_computed = 0
        for event in run(
            pair, NullNetwork(CORE_PX), bundle, [region], store, tissue=tissue
        ):
            if isinstance(event, RunStarted):
                n_computed = event.n_tiles
        stop.set()
        watcher.join()
        n_tiles = len(list(store.grid.tiles_in(region)))
    print(
        json.dumps({"peak": peak[0] / 2**20, "computed": n_computed, "tiles": n_tiles})
    )


if __name__ == "__main__":
    main()
