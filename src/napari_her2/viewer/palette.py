"""Colours with one meaning each, the same in layers, legends and docks.

Score colours are five steps of ColorBrewer's RdYlBu, which stay apart under the
common colour-vision deficiencies. Magenta means synthetic and nothing else.
"""

from __future__ import annotations

from typing import Any

from napari_her2.core.membrane import MembranePattern
from napari_her2.core.registration import Light
from napari_her2.core.score import Score

SYNTHETIC = "#ff3fb4"
ACCENT = "#3d9be9"
REGION = "#12b886"
EXCLUDED = "#495057"
"""Of areas whose cells do not count: dark, and shaded."""

LANDMARK = "#ffd43b"
CONTROL = "#9775fa"
GLASS = "#ececef"
"""Canvas around a slide: light as the glass, so that the eye need not adapt."""

LIGHT_COLORS: dict[Light | None, str] = {
    Light.GREEN: "#2fb36d",
    Light.AMBER: "#e8a33d",
    Light.RED: "#e0523f",
    None: "#8b929d",
}
"""Of a registration; the words beside it say the same."""

SEVERITY_COLORS: dict[str, str] = {
    "block": "#e03131",
    "warn": "#f2a33a",
    "note": "#3d9be9",
}
"""How grave a quality finding is, as its dot in the list and its mask show it."""

SCORE_COLORS: dict[Score, str] = {
    Score.ZERO: "#4575b4",
    Score.ULTRALOW: "#91bfdb",
    Score.ONE: "#fee090",
    Score.TWO: "#fc8d59",
    Score.THREE: "#d73027",
}

PATTERN_COLORS: dict[MembranePattern, str] = {
    MembranePattern.NONE: "#5b8ff9",
    MembranePattern.FAINT_INCOMPLETE: "#7fe0ff",
    MembranePattern.INCOMPLETE_MODERATE_INTENSE: "#ffe14d",
    MembranePattern.COMPLETE_WEAK_MODERATE: "#ff8c1a",
    MembranePattern.COMPLETE_INTENSE: "#d1001f",
}
"""Of cells, from blue over yellow to red; bright enough to stand on brown."""

SELECTED_CELL = "#101418"

ATTENTION_STOPS = ("#1b0c41", "#781c6d", "#cf4446", "#fb9b06", "#fcffa4")
"""Dark (no activation) to pale yellow (strong), after matplotlib's inferno."""

BRANCH_STOPS = ("#b35806", "#f7f7f7", "#7b5aa6")
"""Brown (all from the IHC branch) over white to violet (all from H&E)."""


STEP_COLORS = ("#f1f3f5", "#fde725", "#5ec962", "#2a788e", "#440154")
"""Shares of cells: pale for none, then darker for more, after matplotlib's viridis."""


def score_colormap() -> Any:
    """Return five flat steps; NaN, where no tile was scored, is transparent."""
    return _flat_steps("HER2 score", list(SCORE_COLORS.values()))


def steps_colormap() -> Any:
    """Return the flat steps of shares; NaN, where cells are few, is transparent."""
    return _flat_steps("share of cells", list(STEP_COLORS))


def _flat_steps(name: str, colors: list[str]) -> Any:
    from napari.utils.colormaps import Colormap

    edges = [step / len(colors) for step in range(len(colors) + 1)]
    return Colormap(colors, controls=edges, interpolation="zero", name=name)


def ramp_colormap(name: str, stops: tuple[str, ...]) -> Any:
    """Return a smooth colour map through evenly spaced stops."""
    from napari.utils.colormaps import Colormap

    return Colormap(list(stops), name=name)
