"""The evented state of one viewer: what the docks draw, and nothing they compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from napari_her2.app.cells_read import CellsRead, CellWork
from napari_her2.app.pairing import Landmark, PairingWork, Version
from napari_her2.app.status import Notice, RunStatus
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import ControlMark, Reader, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.registration import ErrorLimits
from napari_her2.review.record import ReviewRecord

if TYPE_CHECKING:
    from napari_her2.models.bundle import Bundle
    from napari_her2.slides.case import Case
    from napari_her2.slides.pair import SlidePair
    from napari_her2.slides.quality.finding import QualityReport


@dataclass(frozen=True, slots=True)
class RegionReview:
    """A region with all that was suggested, read and decided for it.

    ``by_network`` and ``by_cells`` are what may be shown to the reader now: None
    while there is none, and while the reader's own first read has to come before it.
    """

    region: Region
    record: ReviewRecord
    by_network: Suggestion | None
    by_cells: Suggestion | None = None

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggestion to decide on: from cells where they were read."""
        return self.by_network if self.record.by_cells is None else self.by_cells

    @property
    def suggestion_hidden(self) -> bool:
        """Whether there is a suggestion to decide on that must not be shown yet."""
        return self.record.suggestion is not None and self.suggestion is None

    @property
    def network_hidden(self) -> bool:
        """Whether there is a network's suggestion that must not be shown yet."""
        return self.record.by_network is not None and self.by_network is None


@dataclass
class SessionState:
    """State of one viewer; ``events.<field>`` tells of every change.

    ``view_px`` and the regions are in level-0 pixels of ``pair.reference``.
    ``reviewed`` holds one row per region with a suggestion or a reader's act,
    in the order in which they came up. ``unfamiliar`` is set once a run found that
    the model does not know this tissue or stain, ``forced`` while the reader has it
    run nevertheless. ``refusals`` are sentences about slides that cannot be
    assessed, known before a run; ``stain_doubts`` about slides that do not look like
    the stain they were given as. ``versions`` are the registrations of the pair, the
    last one holds; ``landmarks`` are the reader's, not yet used. ``use_profile`` has
    the next case opened with its colours in sRGB where a slide has an ICC profile.
    ``quality`` is what was found on the slides, none before they were looked at;
    ``overruled`` names findings, by stain and kind, that a reader overruled;
    ``controls`` are marks round control tissue on the IHC, and ``use_controls`` tells
    whether they set the thresholds of cells.
    ``cells`` is what was read from the cells of the IHC slide, as its readers
    corrected it.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    case: Case | None = None
    pair: SlidePair | None = None
    bundle: Bundle | None = None
    view_px: BoxPx | None = None
    regions: tuple[Region, ...] = ()
    selected_id: str = ""
    reviewed: tuple[RegionReview, ...] = ()
    run: RunStatus = field(default_factory=RunStatus)
    reader_name: str = ""
    first_read_required: bool = True
    use_profile: bool = True
    notice: Notice | None = None
    unfamiliar: bool = False
    forced: bool = False
    refusals: tuple[str, ...] = ()
    stain_doubts: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    pairing_work: PairingWork = field(default_factory=PairingWork)
    error_limits: ErrorLimits = field(default_factory=ErrorLimits)
    quality: tuple[QualityReport, ...] = ()
    overruled: tuple[tuple[str, str], ...] = ()
    controls: tuple[ControlMark, ...] = ()
    use_controls: bool = True
    cells: CellsRead | None = None
    cell_work: CellWork = field(default_factory=CellWork)

    @property
    def reader(self) -> Reader | None:
        """The person at the screen, None until they give a name."""
        return Reader(self.reader_name) if self.reader_name.strip() else None

    @property
    def selected(self) -> RegionReview | None:
        """The region under review."""
        for row in self.reviewed:
            if row.region.region_id == self.selected_id:
                return row
        return None
