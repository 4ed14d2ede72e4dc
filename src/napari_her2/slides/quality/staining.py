"""Staining too weak or too strong, by how dark nuclei and second dye are.

Nuclei are judged by a high percentile of the density of red light over tissue at
about 1 µm/px (haematoxylin takes it, eosin hardly), eosin by the median over tissue.
Weak DAB is no finding: a tumour without HER2 has none, and only a control can tell.
Too much DAB shows in what should have none, the palest fifth of the tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from napari_her2.core.score import Stain
from napari_her2.slides.quality.finding import Finding, FindingKind, Severity

NUCLEI: Final = {Stain.HE: (0.14, 0.95), Stain.IHC: (0.09, 0.48)}
"""Least and most 95th percentile of the density of red light over tissue. Real H&E
(9 slides, sections and tiles) has 0.14 to 0.72, real IHC (11) 0.10 to 0.29, clean
virtual fields (28) 0.28 to 0.65 and 0.13 to 0.37."""
EOSIN_MOST: Final = 0.43
"""Most median of eosin density; real 0.03 to 0.23, virtual 0.15 to 0.32."""
BACKGROUND_MOST: Final = 0.10
"""Most DAB density in the palest fifth of the tissue; real to 0.03 (11 images; none
of them 3+), virtual to 0.02."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Optical densities over tissue.

    ``nuclei`` is the 95th percentile of that of red light, ``second`` the median
    and ``palest`` the 20th percentile of the second dye.
    """

    nuclei: float
    second: float
    palest: float


def find_staining(depth: Depth, stain: Stain) -> Finding | None:
    """Return whether dyes are too weak or too strong for the stain."""
    least, most = NUCLEI[stain]
    nuclei = "nuclei have", depth.nuclei
    if depth.nuclei < least:
        return _finding(FindingKind.WEAK, *nuclei, f"less than {least:g}")
    if depth.nuclei > most:
        return _finding(FindingKind.STRONG, *nuclei, f"more than {most:g}")
    if stain is Stain.HE and depth.second > EOSIN_MOST:
        eosin = "eosin has", depth.second
        return _finding(FindingKind.STRONG, *eosin, f"more than {EOSIN_MOST:g}")
    if stain is Stain.IHC and depth.palest > BACKGROUND_MOST:
        brown = "DAB of the background has", depth.palest
        return _finding(FindingKind.STRONG, *brown, f"more than {BACKGROUND_MOST:g}")
    return None


def _finding(kind: FindingKind, name: str, value: float, limit: str) -> Finding:
    return Finding(
        kind,
        Severity.WARN,
        1.0,
        f"{kind.value.capitalize()}: the {name} an optical density of {value:.2f}, "
        f"{limit}.",
    )
