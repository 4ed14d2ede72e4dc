"""From tumour cells to a HER2 score, with the line of the guideline that gave it.

Shares that are known exactly give a :class:`GuidelineCall`; counted cells give a
:class:`GuidelineReading`, which knows how sure its shares are and what the method
misreads. The lines and their source: :mod:`napari_her2.core.guideline_lines`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass, replace
from operator import gt

from napari_her2.core.guideline_advice import (
    BEYOND_ERRORS,
    MIXED,
    NO_STAINING,
    SECOND_READER,
    doubted,
    few,
    hidden,
    next_steps,
    resting_on_few,
    straddling,
    too_few,
)
from napari_her2.core.guideline_limits import (
    DEFAULT_LIMITS,
    EXACT,
    FEW_CELLS,
    CellErrors,
    GuidelineLimits,
)
from napari_her2.core.guideline_lines import (
    CUTOFF,
    LINES,
    Line,
    deciding_line,
    is_convention,
    lines_asked,
)
from napari_her2.core.membrane import IntensityCounts, MembraneShares, PatternCounts
from napari_her2.core.proportion import Interval, wilson
from napari_her2.core.score import Call, Score

__all__ = [
    "CUTOFF",
    "CellErrors",
    "GuidelineCall",
    "GuidelineLimits",
    "GuidelineReading",
    "call_from_shares",
    "read_counts",
]


@dataclass(frozen=True, slots=True)
class GuidelineCall:
    """A score with the line of the rule that gave it.

    ``is_convention`` marks mixtures on which the guideline is silent.
    """

    score: Score
    rule: str
    is_convention: bool = False


def call_from_shares(shares: MembraneShares) -> GuidelineCall:
    """Apply the guideline to shares of invasive tumour cells.

    Examples
    --------
    >>> call_from_shares(MembraneShares(complete_intense=0.08)).score
    <Score.TWO: '2+'>
    """
    line = deciding_line(shares)
    if line is None:
        return GuidelineCall(Score.ZERO, NO_STAINING)
    return GuidelineCall(line.score, line.rule, is_convention(line, shares))


@dataclass(frozen=True, slots=True)
class GuidelineReading:
    """What the guideline says of counted cells, and how sure that is.

    Parameters
    ----------
    call
        A score, or why there is none.
    rule
        The line that decided, in words.
    is_convention
        The guideline is silent here.
    n_cells
        Invasive tumour cells counted.
    shares
        Share of each :class:`~napari_her2.core.membrane.MembranePattern`, in its
        order, so unstained cells first; with Wilson's 95 % intervals, NaN of no cells.
    straddles
        A sentence for each line asked whose share could lie on the other side of
        10 %.
    advice
        What to do, and what the score is counted as.
    h_score
        From 0 to 300. **Not an ASCO/CAP criterion**; None without intensities.
    """

    call: Call
    rule: str
    is_convention: bool
    n_cells: int
    shares: tuple[Interval, ...]
    straddles: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    h_score: float | None = None


def read_counts(
    counts: PatternCounts,
    *,
    limits: GuidelineLimits = DEFAULT_LIMITS,
    floors: CellErrors = EXACT,
    confirmed: PatternCounts | None = None,
    intensities: IntensityCounts | None = None,
    hidden_share: float = 0.0,
) -> GuidelineReading:
    """Apply the guideline to counted invasive tumour cells.

    Parameters
    ----------
    counts
        Invasive tumour cells by pattern; what a person deleted is not among them.
    floors
        What the method misreads.
    confirmed
        Those of ``counts`` that a person looked at and agreed with.
    intensities
        The same cells by intensity, for the H-score.
    hidden_share
        Share of the cells whose cytoplasm hides the membrane, in [0, 1].

    Raises
    ------
    ValueError
        If numbers do not belong together or lie out of range.

    Examples
    --------
    >>> reading = read_counts(PatternCounts(none=920, complete_intense=80))
    >>> reading.call, reading.rule
    (<Score.TWO: '2+'>, 'complete intense membrane in <= 10 % of cells')
    """
    sure = confirmed or PatternCounts()
    _check(counts, sure, intensities, hidden_share)
    unscored = GuidelineReading(
        call=too_few(counts.n, limits.least_cells),
        rule="too few cells",
        is_convention=True,
        n_cells=counts.n,
        shares=tuple(wilson(cells, counts.n) for cells in astuple(counts)),
        h_score=intensities.h_score if intensities else None,
    )
    if counts.n < limits.least_cells:
        return unscored
    shares = counts.shares()
    doubtful = [
        line
        for line in LINES
        if floors.may_explain(line, counts) and not sure.of(line.patterns)
    ]
    line = deciding_line(shares, doubtful)
    score = line.score if line else Score.ZERO
    straddles = tuple(
        straddling(each, counts)
        for each in lines_asked(line)
        if each.cut_off and each.is_near(counts)
    )
    if score.rank < Score.TWO.rank and hidden_share > limits.most_hidden:
        call, rule = hidden(hidden_share), "cytoplasm hides the membrane"
        return replace(unscored, call=call, rule=rule, straddles=straddles)
    doubts = [each for each in doubtful if each.score.rank > score.rank]
    alone = line is not None and _rests_on_few(line, counts, doubtful)
    mixed = is_convention(line, shares)
    rule = line.rule if line else BEYOND_ERRORS if doubts else NO_STAINING
    said = [*next_steps(score, rule)]
    if mixed:
        said.append(MIXED)
    said += [doubted(each, counts, floors.of(each)) for each in doubts]
    if counts.n < FEW_CELLS:
        said.append(few(counts.n))
    if line and alone and not sure.of(line.patterns):
        said.append(resting_on_few(line, counts))
    if straddles or doubts or alone:
        said.append(SECOND_READER)
    return replace(
        unscored,
        call=score,
        rule=rule,
        is_convention=mixed or bool(doubts),
        straddles=straddles,
        advice=tuple(said),
    )


def _check(
    counts: PatternCounts,
    confirmed: PatternCounts,
    intensities: IntensityCounts | None,
    hidden_share: float,
) -> None:
    if any(map(gt, astuple(confirmed), astuple(counts))):
        raise ValueError(f"confirmed cells are not among those counted: {confirmed}")
    if intensities and intensities.n != counts.n:
        raise ValueError("intensities and patterns are not of the same cells")
    if not 0 <= hidden_share <= 1:
        raise ValueError(f"a share must lie in [0, 1]: {hidden_share}")


def _rests_on_few(
    line: Line, counts: PatternCounts, doubtful: Collection[Line]
) -> bool:
    """Whether a few cells, without which the score were lower, are enough for it."""
    if line.cut_off or not line.is_near(counts):
        return False
    without = deciding_line(counts.shares(), {line, *doubtful})
    return without is None or without.score is not line.score
