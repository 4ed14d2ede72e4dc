"""A bundle on a pair of slides: its results, and the means to compute more.

The window and the command line run through here, so that both do the same.
Torch is loaded by the first run, not when a case is opened.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from napari_her2.core.errors import NotReadyError
from napari_her2.core.progress import Progress, StainsDoubted
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits
from napari_her2.inference.backend import AUTO, choose, load
from napari_her2.inference.reading import TileReader
from napari_her2.inference.store import ResultStore, open_store
from napari_her2.models.bundle import Bundle
from napari_her2.slides.pair import SlidePair

if TYPE_CHECKING:
    from napari_her2.inference.forward import Network
    from napari_her2.models.familiarity import Familiarity
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
        If the bundle or the backend cannot run on this pair.
    UsageError
        If no backend has that name.
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
        backend: str = AUTO,
        forced: bool = False,
    ) -> None:
        self.pair = pair
        self.bundle = bundle
        self.device = device
        self.backend = choose(bundle, device, backend)
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
        limits: ErrorLimits | None = None,
    ) -> Generator[Progress, None, None]:
        """Compute what regions lack, see :func:`inference.engine.run`.

        Doubts about a slide's stain, if the bundle can tell stains, come first.
        """
        from napari_her2.inference.engine import run

        if self._stain_doubts:
            yield StainsDoubted(self._stain_doubts)
        yield from run(
            self.pair,
            self._network,
            self.bundle,
            regions,
            self.store,
            self._tissue,
            near_yx_px=near_yx_px,
            device=self.device,
            limits=limits,
        )

    def refuse_unfamiliar(self) -> None:
        """Refuse slides the bundle does not know, unless the analysis is forced.

        Whole slides are looked at, so that the answer is the same for any region;
        single tiles are judged again when they are computed.

        Raises
        ------
        NotReadyError
            Naming the slide and why it cannot be assessed.
        """
        familiarity = None if self.forced else self._judges.familiarity
        if familiarity is None:
            return  # asked for, or this bundle cannot tell
        from napari_her2.inference.screening import screen_image

        for stain, slide in self._reader.slides:
            seen = screen_image(
                slide, stain, cast("Familiarity", familiarity), self.bundle.card.mpp
            )
            if seen.abstained:
                raise NotReadyError(
                    f"{stain.label} cannot be assessed: {seen.reason}.",
                    "Give --force to go on; every output is then marked as forced.",
                )

    @cached_property
    def _reader(self) -> TileReader:
        return TileReader(self.pair, self.bundle.card)

    @cached_property
    def _stain_doubts(self) -> tuple[str, ...]:
        from napari_her2.inference.stain_verification import doubts, verify_stains

        return doubts(verify_stains(self.pair, self._judges, self.bundle.card.mpp))

    @cached_property
    def _network(self) -> Network:
        return load(self.bundle, self.backend, self.device)

    @cached_property
    def _judges(self) -> Her2Network:
        """The network whose selector and familiarity judge slides, not tiles."""
        from napari_her2.inference.backend_network import TileByTile

        network = self._network
        inner = network.network if isinstance(network, TileByTile) else network
        return cast("Her2Network", inner)

    @cached_property
    def _tissue(self) -> TissueMask:
        from napari_her2.slides.tissue import find_tissue

        return find_tissue(self.pair.reference)
