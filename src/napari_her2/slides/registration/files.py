"""A registration as a JSON file: for scripts, and as it stands in the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_her2.core.error_map import is_number
from napari_her2.core.errors import CaseError, StorageError
from napari_her2.core.registration import Registration
from napari_her2.core.whole_file import write_whole

SCHEMA: Final = "napari-her2/registration/1"
MAX_BYTES: Final = 1 << 26


@dataclass(frozen=True, slots=True)
class RegistrationFile:
    """A registration and the scales that lead to it from pixels.

    Parameters
    ----------
    registration
        From the H&E to the IHC slide.
    he_mpp, ihc_mpp
        µm per level-0 pixel it was made with.
    scale_known
        False where the scales are stand-ins: its µm are then H&E pixels.
    """

    registration: Registration
    he_mpp: float
    ihc_mpp: float
    scale_known: bool = True

    def warp_px(self, points_yx_px: ArrayLike) -> NDArray[np.float64]:
        """Map level-0 pixels (y, x) of the H&E slide to those of the IHC slide."""
        points_um = np.asarray(points_yx_px, dtype=float) * self.he_mpp
        return self.registration.transform.apply(points_um) / self.ihc_mpp


def write_registration(file: RegistrationFile, path: Path | str) -> None:
    """Write a registration; the file appears whole or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    path = Path(path)
    fields = {
        "schema": SCHEMA,
        **file.registration.to_json(),
        "he_mpp": file.he_mpp,
        "ihc_mpp": file.ihc_mpp,
        "scale_known": file.scale_known,
    }
    try:
        write_whole(path, json.dumps(fields, allow_nan=False) + "\n")
    except OSError as error:
        raise StorageError(
            path,
            f"the registration cannot be written ({error.strerror or error}).",
            "Choose a folder that exists and has space, then try again.",
        ) from error


def read_registration(path: Path | str) -> RegistrationFile:
    """Read a registration that :func:`write_registration` wrote.

    Raises
    ------
    CaseError
        If the file cannot be read or is no registration.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too long")
        fields = json.loads(path.read_text("utf-8"))
        if not isinstance(fields, dict) or fields.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        he_mpp, ihc_mpp = (_scale(fields.get(name)) for name in ("he_mpp", "ihc_mpp"))
        return RegistrationFile(
            Registration.from_json(fields),
            he_mpp,
            ihc_mpp,
            bool(fields.get("scale_known", True)),
        )
    except OSError as error:
        raise CaseError(
            path,
            f"the registration cannot be read ({error.strerror or error}).",
            "Check that the file exists and that you may read it.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise CaseError(
            path, f"it is no registration ({error}).", "Register the slides again."
        ) from error


def _scale(value: Any) -> float:
    if not is_number(value) or value <= 0:
        raise ValueError("it has no scale")
    return float(value)
