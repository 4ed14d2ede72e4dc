"""What was found on a slide: a kind, how grave it is, where, and a sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Stain


class FindingKind(StrEnum):
    """What can be found."""

    NO_TISSUE = "no tissue"
    OUT_OF_FOCUS = "out of focus"
    PEN = "pen"
    FOLD = "fold"
    BUBBLE = "air bubble"
    DROPLETS = "droplets"
    SMUDGE = "dirt or haze"
    CRUSH = "crushed tissue"
    EDGE = "edge effect"
    WEAK = "staining too weak"
    STRONG = "staining too strong"
    CONTROL = "control tissue"
    SCALE = "scale unknown"


class Severity(StrEnum):
    """How grave a finding is.

    A note is for information, a warning asks the reader to look, and what blocks
    keeps the AI from running until a reader overrules it with a reason.
    """

    NOTE = "note"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One thing found on one slide.

    Parameters
    ----------
    kind, severity
        What it is and how grave.
    share
        Part of the tissue that is affected, in [0, 1].
    sentence
        In words, with the figure it rests on.
    mask
        bool (rows, columns) from the slide's corner; None where it has no place.
    pixel_px
        Level-0 pixels per pixel of the mask.
    mask_mpp
        µm per pixel of the mask; None where the scale is unknown.
    """

    kind: FindingKind
    severity: Severity
    share: float
    sentence: str
    mask: NDArray[np.bool_] | None = None
    pixel_px: float = 1.0
    mask_mpp: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QualityReport:
    """All that was found on one slide, the gravest first.

    Parameters
    ----------
    stain
        What the slide was given as.
    fingerprint
        Of the slide.
    findings
        Nothing in it means nothing was found, not that the slide is faultless.
    tissue_share
        Part of the slide that is tissue, in [0, 1].
    n_tiles, n_tiles_of
        Tiles in which focus and crush were looked for, of how many with tissue.
    """

    stain: Stain
    fingerprint: str
    findings: tuple[Finding, ...]
    tissue_share: float
    n_tiles: int
    n_tiles_of: int

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that keep the AI from running."""
        return tuple(one for one in self.findings if one.severity is Severity.BLOCK)

    def of(self, kind: FindingKind) -> Finding | None:
        """Return the finding of one kind, None where there is none."""
        return next((one for one in self.findings if one.kind is kind), None)

    def with_finding(self, finding: Finding) -> QualityReport:
        """Return the report with a finding in place of one of its kind."""
        rest = [one for one in self.findings if one.kind is not finding.kind]
        return replace(self, findings=gravest_first([*rest, finding]))


_ORDER = (Severity.BLOCK, Severity.WARN, Severity.NOTE)


def gravest_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity, then by the tissue they take."""
    return tuple(sorted(findings, key=lambda f: (_ORDER.index(f.severity), -f.share)))
