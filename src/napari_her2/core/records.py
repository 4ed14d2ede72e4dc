"""What software suggests and what a person decides, with their provenance.

Software makes a :class:`Suggestion`; only a named :class:`Reader` makes a
:class:`Decision`; only a decision can be exported as a final score.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineReading
from napari_her2.core.score import Call, NotAssessable, Score

RESEARCH_USE = "Research use only. AI assists, pathologist decides."

UNFAMILIAR = NotAssessable("unfamiliar tissue or stain")
"""The call where the model has seen nothing like the slide."""

FORCED = "forced: unfamiliar to the model, or of too low quality"
"""The mark of everything made by a run that a person forced on a slide, whatever was
found on it."""


CONTROL_SCORES = (Score.ZERO, Score.ONE, Score.THREE)
"""What control tissue on an IHC slide is expected to read."""


@dataclass(frozen=True, slots=True)
class ControlMark:
    """A box round control tissue, and the score that it should read.

    Parameters
    ----------
    score
        One of ``CONTROL_SCORES``.
    box_px
        In level-0 pixels of the IHC slide, not empty.
    """

    score: Score
    box_px: BoxPx

    def __post_init__(self) -> None:
        if self.score not in CONTROL_SCORES:
            raise ValueError(f"control tissue reads 0, 1+ or 3+, not {self.score}")
        if self.box_px.is_empty:
            raise ValueError("the box round control tissue is empty")


class Evidence(StrEnum):
    """Which images a suggestion rests on."""

    BOTH = "H&E and IHC"
    HE_ONLY = "H&E and synthetic IHC"
    IHC_ONLY = "IHC"
    CELLS = "IHC, cell by cell"

    @property
    def is_synthetic(self) -> bool:
        """Whether a synthetic image took part."""
        return self is Evidence.HE_ONLY


class Arm(StrEnum):
    """What a network scored, where :class:`Evidence` says what was really there."""

    BOTH = "H&E and IHC"
    HE_RECONSTRUCTED = "H&E and reconstructed IHC"
    HE = "H&E alone"
    IHC_RECONSTRUCTED = "IHC and reconstructed H&E"
    IHC = "IHC alone"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether a reconstructed stain was used, and the five numbers that decided.

    DyMo (arXiv 2601.22853): ``confidence`` q and ``typicality`` p of the class
    called from what was observed, ``confidence_with`` and ``typicality_with`` the
    same with the reconstruction, ``reward`` R = q_u G - q. Confidences and
    typicalities lie in [0, 1]. ``agreement`` in [-1, 1] is how well the
    reconstruction lies on the section it was made from, 1 where nobody looked.
    """

    accepted: bool
    reward: float
    confidence: float
    confidence_with: float
    typicality: float
    typicality_with: float
    reason: str
    agreement: float = 1.0


@dataclass(frozen=True, slots=True)
class CellBasis:
    """The counted cells of a real IHC slide that a suggestion rests on.

    Parameters
    ----------
    reading
        Number of cells, shares with their intervals, and the line of the guideline.
    n_judged
        Cells that readers confirmed or corrected.
    tumour
        Who said where the tumour is.
    heterogeneity
        How the strongest cells lie: clustered, scattered, none or too few.
    controls
        Whether marked control tissue set the thresholds, in words; empty where none
        was marked.
    """

    reading: GuidelineReading
    n_judged: int
    tumour: str
    heterogeneity: str
    controls: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tissue that took no part in a result: the two stains lie apart there.

    Parameters
    ----------
    share
        Of the area of the region's tiles with tissue, above 0 to 1.
    n_tiles
        Tiles left out.
    beyond_um
        Error of the registration from which on tiles are left out.
    """

    share: float
    n_tiles: int
    beyond_um: float

    @property
    def sentence(self) -> str:
        """How much was left out and why."""
        much = "less than 1 %" if self.share < 0.01 else f"{100 * self.share:.0f} %"
        return (
            f"{much} of the tissue left out: H&E and IHC lie more than "
            f"{self.beyond_um:g} µm apart there"
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """All that is needed to compute a result again.

    ``slides`` pairs a stain with the slide's fingerprint; ``parameters`` are
    sorted (name, value) pairs that change the result (registration, forced
    flags); ``direction`` names a synthesis, for example ``"he->ihc"``. What counted
    cells gave has no bundle.
    """

    slides: tuple[tuple[str, str], ...]
    bundle: str
    bundle_sha256: str
    software: str
    parameters: tuple[tuple[str, str], ...] = ()
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the software proposes for one region; never a final score.

    Parameters
    ----------
    probabilities
        Sum to 1 over the strata the bundle knows, calibrated where the bundle can;
        empty when nothing could be assessed, and where cells were counted.
    box_px
        Bounds the region in level-0 pixels of the reference slide.
    n_tiles
        Tiles that were counted.
    arms
        Share of the counted area by what the network scored there, most first;
        empty when nothing was counted.
    prediction_set
        Scores that hold the true one as often as the bundle was asked to; empty
        when the bundle is not calibrated or nothing could be assessed.
    gate
        Verdict on the reconstructed stain, summed up over the counted area; None
        where nothing was reconstructed or the bundle has no gate.
    forced
        Whether a person had the model run on tissue or stain it does not know.
    cells
        What counted cells gave; None for what a network said.
    left_out
        What took no part because the slides lie apart there; None where nothing was.
    """

    region_id: str
    call: Call
    probabilities: tuple[tuple[Score, float], ...]
    evidence: Evidence
    box_px: BoxPx
    n_tiles: int
    provenance: Provenance
    arms: tuple[tuple[Arm, float], ...] = ()
    prediction_set: tuple[Score, ...] = ()
    gate: GateVerdict | None = None
    forced: bool = False
    cells: CellBasis | None = None
    left_out: LeftOut | None = None

    @property
    def caution(self) -> str:
        """What must be said beside the call, empty when nothing must."""
        said = [FORCED] if self.forced else []
        if self.evidence.is_synthetic:
            said.append("suggested from H&E; IHC needed")
        if self.left_out is not None:
            said.append(self.left_out.sentence)
        return "; ".join(said)


@dataclass(frozen=True, slots=True)
class Reader:
    """The person who reads, as they name themselves (not authenticated).

    Runs of white space count as one, so that a stray blank makes no second
    person who could give a second first read.
    """

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", " ".join(self.name.split()))
        if not self.name:
            raise ValueError("a reader needs a name")


class DecisionKind(StrEnum):
    """How a decision relates to the suggestion that stood beside it.

    ``OWN_READ`` is a decision by a reader who was shown no suggestion.
    """

    CONFIRM = "confirm"
    OVERRIDE = "override"
    OWN_READ = "own read"


@dataclass(frozen=True, slots=True)
class Decision:
    """A call by a named person at a time, with the suggestion they had seen.

    ``beside`` is what a network said, where they saw that beside counted cells.
    """

    case_id: str
    region_id: str
    reader: Reader
    kind: DecisionKind
    call: Call
    reason: str
    utc: datetime
    first_read: Call | None
    suggestion: Suggestion | None
    beside: Suggestion | None = None
