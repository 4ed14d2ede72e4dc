"""A bundle on a pair of slides: its results, and the means to compute more.

The window and the command line run through here, so that both do the same.
Torch is loaded by the first run, not when a case is opened.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from napari_her2.core.progress import Progress
from napari_her2.core.region import Region
from napari_her2.inference.identity import REFERENCE_BACKEND
from napari_her2.inference.store import ResultStore, open_store
from napari_her2.models.bundle import Bundle
from napari_her2.slides.pair import SlidePair

if TYPE_CHECKING:
    from napari_her2.models.network import Her2Network
    from napari_her2.slides.tissue import TissueMask


class Analysis:
    """What one bundle says about one pair.

    Parameters
    ----------
    pair, bundle
        What is read and what computes.
    cache_dir
        Folder for results; the user's cache folder when None.
    device
        A torch device name.
    backend
        What computes; ``auto`` takes the fastest that this bundle was shown to
        agree with here.
    forced
        Whether to go on where the bundle does not know the tissue or stain; all
        that comes of it is marked.

    Raises
    ------
    NotReadyError
        If the bundle cannot run on this pair.
    StorageError
        If the result store cannot be opened.
    """

    def __init__(
        self,
        pair: SlidePair,
        bundle: Bundle,
        *,
        cache_dir: Path | None = None,
        device: str = "cpu",
        backend: str = "auto",
        forced: bool = False,
    ) -> None:
        self.pair = pair
        self.bundle = bundle
        self.device = device
        self.backend = REFERENCE_BACKEND if backend == "auto" else backend
        self.store: ResultStore = open_store(
            pair,
            bundle,
            device=device,
            backend=self.backend,
            forced=forced,
            root=cache_dir,
        )

    @property
    def forced(self) -> bool:
        """Whether the run goes on where the bundle does not know what it sees."""
        return self.store.forced

    def run(
        self,
        regions: Sequence[Region],
        *,
        near_yx_px: tuple[float, float] | None = None,
    ) -> Generator[Progress, None, None]:
        """Compute what regions lack, see :func:`inference.engine.run`."""
        from napari_her2.inference.engine import run

        yield from run(
            self.pair,
            self._network,
            self.bundle,
            regions,
            self.store,
            self._tissue,
            near_yx_px=near_yx_px,
            device=self.device,
        )

    @cached_property
    def _network(self) -> Her2Network:
        from napari_her2.models.network import load_network

        return load_network(self.bundle).to(self.device)

    @cached_property
    def _tissue(self) -> TissueMask:
        from napari_her2.slides.tissue import find_tissue

        return find_tissue(self.pair.reference)
