"""All that can be wrong with a bundle, looked for at once."""

from __future__ import annotations

from pathlib import Path

from napari_her2.models.bundle import Bundle, load_bundle
from napari_her2.models.calibration import calibration_of
from napari_her2.models.network import load_network


def verify_bundle(path: Path | str) -> Bundle:
    """Check hashes, card, every weight, the statistics and the calibration.

    Raises
    ------
    BundleError
        If anything is missing, was changed, or does not fit the rest.
    """
    bundle = load_bundle(path)
    load_network(bundle)
    calibration_of(bundle)
    return bundle
