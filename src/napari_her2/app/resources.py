"""Where the sample case lies, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

from napari_her2.core.errors import CaseError
from napari_her2.slides.case import MANIFEST_SUFFIX

_PACKAGE = Path(__file__).parents[1]


def sample_case_path() -> Path:
    """Return the manifest of the virtual sample case.

    Raises
    ------
    CaseError
        If this installation has no sample data.
    """
    # a wheel carries the folder inside the package, a checkout beside src/
    for folder in (_PACKAGE / "sample_data", _PACKAGE.parents[1] / "sample_data"):
        for manifest in sorted(folder.glob(f"*{MANIFEST_SUFFIX}")):
            return manifest
    raise CaseError(
        _PACKAGE / "sample_data",
        "the sample case is not part of this installation.",
        "Make one with: napari-her2 phantom --seed 1 --out sample_data",
    )
