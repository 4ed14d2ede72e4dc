"""What can happen to a case: small frozen events, written once, never changed.

Software makes a :class:`SuggestionMade`; everything with a ``reader`` is the act
of a named person. Undo is a new event (:class:`Reopened`), never a deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from napari_her2.core.cell_verdict import CellVerdict
from napari_her2.core.records import ControlMark, Reader, Suggestion
from napari_her2.core.region import Region
from napari_her2.core.registration import Registration
from napari_her2.core.score import Call


@dataclass(frozen=True, slots=True)
class RegionKey:
    """Which area of which slides an event is about.

    The slides belong to the key: a decision holds for the pixels it was made
    on, so another slide under the same case name never inherits it, and an IHC
    slide that arrives later asks for a new read.

    Parameters
    ----------
    case_id
        Pseudonymous name of the case, not blank.
    slides
        Pairs of stain and slide fingerprint, in any order.
    region_id
        Name of the region; empty means the case as a whole.
    """

    case_id: str
    slides: tuple[tuple[str, str], ...] = ()
    region_id: str = ""

    def __post_init__(self) -> None:
        if not self.case_id.strip():
            raise ValueError("a case needs a name")
        slides = sorted((str(stain), str(mark)) for stain, mark in self.slides)
        object.__setattr__(self, "slides", tuple(slides))

    @property
    def case(self) -> RegionKey:
        """The key of the case as a whole."""
        return RegionKey(self.case_id, self.slides)


class ReasonCode(StrEnum):
    """Why a reader's call differs from the suggestion.

    The codes follow the usual pitfalls of HER2 reading; ``OTHER`` needs a note.
    ``IHC_READ_ELSEWHERE`` is for a reader who was shown a synthetic IHC here and
    scored the real one outside this program.
    """

    IN_SITU = "in-situ counted"
    ARTEFACT = "artefact, edge or crush"
    CYTOPLASMIC = "cytoplasmic staining"
    FAINT_MISSED = "faint staining missed"
    HETEROGENEITY = "heterogeneity"
    WRONG_REGION = "wrong region"
    CONTROL_FAILED = "control failed"
    REGISTRATION = "registration off"
    SYNTHETIC_IMPLAUSIBLE = "synthetic IHC implausible"
    IHC_READ_ELSEWHERE = "real IHC read elsewhere"
    DISCORDANT = "discordant with clinic or ISH"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a region, or to a case as a whole.

    ``utc`` is the time on the clock of the machine, which may run backwards;
    the order of events is the order of the journal.
    """

    key: RegionKey
    utc: datetime

    def __post_init__(self) -> None:
        if self.utc.utcoffset() != timedelta(0):
            raise ValueError(f"the time of an event is in UTC, got {self.utc!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Event):
    """The slides of a case were opened; the case is pending from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDrawn(Event):
    """A person drew this outline, or moved it before anybody read the region."""

    region: Region

    def __post_init__(self) -> None:
        Event.__post_init__(self)
        if self.region.region_id != self.key.region_id:
            raise ValueError("the region is not the one the event is about")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRemoved(Event):
    """A region that nobody has read was taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionMade(Event):
    """The software finished a region; nobody has seen the result yet."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Event):
    """The software found how the IHC lies on the H&E; a version of the case."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonsAct(Event):
    """Something a named person did."""

    reader: Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRead(PersonsAct):
    """A reader's own call, before they saw any suggestion."""

    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed(PersonsAct):
    """The suggestion was shown to this reader."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsShown(PersonsAct):
    """A call from cells was shown to this reader; earlier versions wrote it.

    It was no suggestion then. Today it is one, and is revealed like any other.
    """

    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(PersonsAct):
    """A reader adopted the call of the suggestion they were shown."""

    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Overridden(PersonsAct):
    """A reader put their own call in the place of the suggestion they saw."""

    call: Call
    code: ReasonCode
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRead(PersonsAct):
    """A reader decided without having been shown a suggestion."""

    call: Call
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(PersonsAct):
    """A reader left the region undecided, and said why."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(PersonsAct):
    """A decided or deferred region is open again; what was decided stays."""

    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSet(PersonsAct):
    """A reader set how the IHC lies: by landmarks, by hand, or an earlier version."""

    registration: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOverruled(PersonsAct):
    """A reader had the AI run in spite of a quality finding, and said why.

    The key is that of the case; ``stain`` names the slide and ``finding`` the kind
    of finding.
    """

    stain: str
    finding: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsMarked(PersonsAct):
    """A reader marked control tissue on the IHC, in place of earlier marks.

    The key is that of the case; ``controls`` are all marks that hold from now on, none
    where the reader took them away.
    """

    controls: tuple[ControlMark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsUsed(PersonsAct):
    """A reader had marked control tissue set the thresholds of cells, or not.

    The key is that of the case; until somebody says so it sets them.
    """

    is_used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCorrected(PersonsAct):
    """A reader said what a cell of the IHC slide is, or took that back.

    The key is that of the case; ``y_px`` and ``x_px`` are the middle of the nucleus
    in level-0 pixels of the IHC slide. The verdict may be what the software read:
    the cell is confirmed then.
    """

    y_px: float
    x_px: float
    verdict: CellVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(Event):
    """Files were written from the journal as it stood at ``journal_head``."""

    files: tuple[str, ...]
    journal_head: str


AnyEvent = (
    CaseOpened
    | RegionDrawn
    | RegionRemoved
    | SuggestionMade
    | FirstRead
    | Revealed
    | CellsShown
    | Confirmed
    | Overridden
    | OwnRead
    | Deferred
    | Reopened
    | Registered
    | RegistrationSet
    | QualityOverruled
    | ControlsMarked
    | ControlsUsed
    | CellCorrected
    | Exported
)
"""Every kind of event, for exhaustive matching."""
