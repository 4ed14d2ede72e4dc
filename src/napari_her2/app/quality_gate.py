"""Which quality findings keep the AI from running: words, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_her2.slides.quality.finding import Finding, QualityReport


def blocked_by(
    reports: Iterable[QualityReport], overruled: Iterable[tuple[str, str]] = ()
) -> tuple[str, ...]:
    """Return a sentence per finding that blocks and was not overruled.

    ``overruled`` are pairs of stain and kind of finding.
    """
    known = set(overruled)
    return tuple(
        f"{report.stain.label}: {finding.sentence}"
        for report in reports
        for finding in report.blocking
        if key_of(report, finding) not in known
    )


def key_of(report: QualityReport, finding: Finding) -> tuple[str, str]:
    """Return the stain and the kind that an overruling names."""
    return report.stain.value, finding.kind.value
