"""The engine: runs a bundle on the tiles of regions and yields typed progress.

Three things happen at once: threads read ahead, the caller's thread computes, a
thread writes to the store. The generator is advanced by whoever wants progress;
closing it cancels the run between two batches and keeps every finished tile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import groupby, islice
from typing import TYPE_CHECKING

from napari_her2.core.errors import UsageError
from napari_her2.core.progress import Progress, RegionDone, RunStarted, TileDone
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits
from napari_her2.inference.apart import Apart
from napari_her2.inference.forward import BatchRunner, Network
from napari_her2.inference.grid import Tile
from napari_her2.inference.identity import identity_of
from napari_her2.inference.plan import TilePlan, plan_tiles
from napari_her2.inference.reading import TileInput, TileReader
from napari_her2.inference.store import ResultStore
from napari_her2.inference.suggestion import suggest
from napari_her2.models.bundle import Bundle
from napari_her2.slides.pair import SlidePair

if TYPE_CHECKING:
    from napari_her2.slides.tissue import TissueMask

READERS = 2
PATIENCE = 0.02
"""Share of a forward pass that may be spent waiting for its tiles to be stored,
so that a tile is shown when it is done and not one forward pass later."""


def run(
    pair: SlidePair,
    network: Network,
    bundle: Bundle,
    regions: Sequence[Region],
    store: ResultStore,
    tissue: TissueMask | None = None,
    *,
    near_yx_px: tuple[float, float] | None = None,
    batch_size: int | None = None,
    device: str = "cpu",
    limits: ErrorLimits | None = None,
) -> Generator[Progress, None, None]:
    """Compute what regions lack and suggest a score for each.

    Parameters
    ----------
    pair, network, bundle
        What to read and what to compute; ``network`` already is on ``device``.
    regions
        Polygons in level-0 pixels of the reference slide, ids unique.
    store
        Where results go, from ``open_store`` for the same pair, bundle and device;
        it says which backend ``network`` is and whether the run is forced.
    tissue
        Mask of the reference slide; tiles without tissue are skipped. None
        computes every tile.
    near_yx_px
        Level-0 point whose tiles come first; the middle of the regions if None.
    batch_size
        Tiles per call. 1 on a CPU, where a result may depend on the number of
        tiles computed together; on a GPU short batches are filled up for the
        same reason.
    limits
        Of the error of the registration, the usual ones when None: where both slides
        are read, tiles beyond the red one are left out.

    Yields
    ------
    Progress
        One ``RunStarted``; a ``TileDone`` per tissue tile, those found in the
        store first; a ``RegionDone`` as soon as a region is complete. Background
        tiles are told by their number alone and are none of ``n_tiles``, nor are
        those where the slides lie apart.

    Raises
    ------
    NotReadyError, UsageError
        Before the first progress: the run makes no sense.
    SlideError, StorageError, BundleError
        A slide cannot be read, results cannot be stored, or the network gives
        something that is no number. Finished tiles stay valid.
    """
    reader = TileReader(pair, bundle.card)
    backend, forced = str(store.identity.get("backend")), store.forced
    if store.identity != identity_of(reader, bundle, device, backend, forced=forced):
        raise UsageError(
            "The result store belongs to other slides or another bundle.",
            "Open it with the pair, bundle and device of this run.",
        )
    apart = Apart(reader, pair.registration, limits or ErrorLimits())
    plan = plan_tiles(reader.grid, regions, tissue, near_yx_px, apart.is_apart)
    store.mark_background(plan.background)
    known = {tile for tile in plan.tissue if store.is_done(tile)}
    cached = [tile for tile in plan.tissue if tile in known]
    missing = [tile for tile in plan.tissue if tile not in known]
    n_tiles = len(plan.tissue)
    yield RunStarted(n_tiles, len(cached), len(plan.background))

    waiting = _Waiting(plan, regions)
    n_done = 0

    def progress(tiles: Iterable[Tile], *, cached: bool) -> Iterator[Progress]:
        nonlocal n_done
        for tile in tiles:
            n_done += 1
            box = reader.grid.core_box_px(*tile)
            yield TileDone(*tile, box, n_done, n_tiles, cached)
            yield from finished(tile)

    def finished(*tiles: Tile) -> Iterator[RegionDone]:
        for region in waiting.completed_by(*tiles):
            parts = plan.by_region[region.region_id]
            yield RegionDone(
                suggest(
                    region,
                    parts,
                    store,
                    reader,
                    bundle,
                    transform_source=pair.registration.method,
                    left_out=apart.left_out(region, parts, plan.apart),
                )
            )

    yield from finished()
    yield from progress(cached, cached=True)

    compute = BatchRunner(network, bundle, device, batch_size, forced=forced)
    yield from progress(_work(reader, compute, store, missing), cached=False)


class _Waiting:
    """Knows which tiles each region still waits for."""

    def __init__(self, plan: TilePlan, regions: Sequence[Region]) -> None:
        self._open = [
            (region, set(plan.by_region[region.region_id])) for region in regions
        ]

    def completed_by(self, *tiles: Tile) -> list[Region]:
        """Return the regions that wait for nothing more, each once."""
        for _, missing in self._open:
            missing.difference_update(tiles)
        complete = [region for region, missing in self._open if not missing]
        self._open = [pair for pair in self._open if pair[1]]
        return complete


def _work(
    reader: TileReader,
    compute: BatchRunner,
    store: ResultStore,
    tiles: Sequence[Tile],
) -> Iterator[Tile]:
    """Yield each tile once it is in the store, reading and writing alongside."""
    if not tiles:
        return
    size = compute.batch_size
    with (
        ThreadPoolExecutor(READERS, "her2-read") as readers,
        ThreadPoolExecutor(1, "her2-write") as writer,
    ):
        writes: deque[Future[Tile]] = deque()
        inputs = _read_ahead(readers, reader.read, tiles, depth=2 * size + READERS)
        try:
            for batch in _batches(inputs, size):
                started = time.perf_counter()
                results = compute(batch)
                patience_s = PATIENCE * (time.perf_counter() - started)
                writes.extend(
                    writer.submit(store.write_tile, part.tile, result)
                    for part, result in zip(batch, results, strict=True)
                )
                yield from _stored(writes, 2 * size, patience_s)
            yield from _stored(writes, 0, 0.0)
        finally:
            inputs.close()


def _read_ahead(
    pool: ThreadPoolExecutor,
    read: Callable[[Tile], TileInput],
    tiles: Iterable[Tile],
    depth: int,
) -> Generator[TileInput, None, None]:
    """Yield tiles in order with up to ``depth`` more being read."""
    pending: deque[Future[TileInput]] = deque()
    try:
        for tile in tiles:
            pending.append(pool.submit(read, tile))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _batches(inputs: Iterable[TileInput], size: int) -> Iterator[list[TileInput]]:
    """Group consecutive tiles of the same evidence, at most ``size`` at a time."""
    for _, group in groupby(inputs, key=lambda part: part.evidence):
        while batch := list(islice(group, size)):
            yield batch


def _stored(
    writes: deque[Future[Tile]], at_most: int, patience_s: float
) -> Iterator[Tile]:
    """Yield tiles that are stored; wait until at most ``at_most`` are not."""
    deadline = time.perf_counter() + patience_s
    while writes:
        rest_s = max(0.0, deadline - time.perf_counter())
        wait([writes[0]], None if len(writes) > at_most else rest_s)
        if not writes[0].done():
            return
        yield writes.popleft().result()
