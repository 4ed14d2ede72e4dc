"""What the reader sets in napari's Preferences, as one frozen value.

The fields are declared in ``napari.yaml``; napari draws the dialog and saves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings

from napari_her2.core.registration import ErrorLimits

PLUGIN = "napari-her2"


@dataclass(frozen=True, slots=True)
class Preferences:
    """Settings of this program.

    Parameters
    ----------
    reader_name
        Name written beside decisions; empty until the reader gives it.
    first_read_required
        Whether the reader's own call comes before the AI is revealed.
    use_colour_profile
        Whether slides are shown in the colours their ICC profile gives them.
    cache_folder
        Where results are kept; None for the user's cache folder.
    register_at_once
        Whether slides without a manifest are registered by themselves.
    error_limits
        Up to which error a registration is green, and from which on red.
    """

    reader_name: str = ""
    first_read_required: bool = True
    use_colour_profile: bool = True
    cache_folder: Path | None = None
    register_at_once: bool = True
    error_limits: ErrorLimits = field(default_factory=ErrorLimits)


def read_preferences() -> Preferences:
    """Return the settings as they are now; defaults where napari has none."""
    settings = _settings()
    if settings is None:
        return Preferences()
    folder = str(settings.storage.cache_folder).strip()
    return Preferences(
        reader_name=str(settings.reading.reader_name),
        first_read_required=bool(settings.reading.first_read_required),
        use_colour_profile=bool(settings.reading.use_colour_profile),
        cache_folder=Path(folder).expanduser() if folder else None,
        register_at_once=bool(settings.registration.register_at_once),
        error_limits=ErrorLimits(
            float(settings.registration.green_um), float(settings.registration.red_um)
        ),
    )


def remember_reader(name: str) -> None:
    """Keep the reader's name for the next start."""
    settings = _settings()
    if settings is not None and settings.reading.reader_name != name:
        settings.reading.reader_name = name


def follow_preferences(callback: Callable[[], Any]) -> None:
    """Call back when the reader changes a setting that holds at once."""
    settings = _settings()
    if settings is not None:
        settings.reading.events.connect(callback)
        settings.registration.events.connect(callback)


def _settings() -> Any | None:
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None
