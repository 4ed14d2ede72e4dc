"""Libraries that read further formats and are installed only where wanted."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from napari_her2.core.errors import SlideError


def load_extra(path: Path, module: str, extra: str, formats: str) -> Any:
    """Import a library that one of the package's extras brings.

    Parameters
    ----------
    path
        The slide that needs it, named in the error.
    module
        What to import.
    extra
        The extra that brings it.
    formats
        What it is needed for, as the subject of a sentence.

    Raises
    ------
    SlideError
        If it is not installed or does not load; it says how to install it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: its C library is missing
        raise SlideError(
            path,
            f"{formats} are read by a library that is not installed "
            f"(the extra '{extra}').",
            f'Install it with pip install "napari-her2[{extra}]", then open the '
            "slide again.",
        ) from error
