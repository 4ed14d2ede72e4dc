"""Print how far a run with a network that does nothing raises memory, as JSON.

    python benchmarks/engine_memory.py SLIDE SIDE_PX CORE_PX HALO_PX STORE_FOLDER

A process of its own, because memory once taken is seldom given back.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import psutil
from engine_parts import NullNetwork, null_bundle, opened, square

from napari_her2.inference.engine import run
from napari_her2.inference.store import open_store


def main() -> None:
    """Run and print ``before`` and ``peak``, resident MB."""
    path, store_folder = Path(sys.argv[1]), Path(sys.argv[5])
    side_px, core_px, halo_px = (int(text) for text in sys.argv[2:5])
    bundle = null_bundle(core_px, halo_px)
    process, stop, peak = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(0.002):
            peak[0] = max(peak[0], process.memory_info().rss)

    with opened(path) as pair:
        before = process.memory_info().rss
        watcher = threading.Thread(target=watch)
        watcher.start()
        store = open_store(pair, bundle, root=store_folder)
        network = NullNetwork(core_px)
        for _ in run(pair, network, bundle, [square(side_px)], store):
            pass
        stop.set()
        watcher.join()
    print(json.dumps({"before": before / 2**20, "peak": peak[0] / 2**20}))


if __name__ == "__main__":
    main()
