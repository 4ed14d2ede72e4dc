"""All that can be wrong with a bundle, looked for at once."""

from __future__ import annotations

from pathlib import Path

from napari_her2.core.errors import BundleError
from napari_her2.models.bundle import Bundle, load_bundle
from napari_her2.models.calibration import Calibration
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
    calibration = bundle.card.parameters.get("calibration")
    if calibration is not None:
        try:
            Calibration.from_dict(calibration)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                bundle.path,
                f"the calibration in the card makes no sense: {error}.",
                "Choose another bundle, or train this one again.",
            ) from error
    return bundle
