"""Figures of an evaluation, drawn without a window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_her2.evaluation.comparisons import HE_ONLY

Results = Mapping[str, Any]

_DPI = 110
_MAIN_ARMS = (
    "H&E and IHC",
    "H&E and reconstructed IHC",
    "IHC and reconstructed H&E",
    "H&E alone",
    "IHC alone",
)
_COLOURS = {name: f"C{k}" for k, name in enumerate(_MAIN_ARMS)}
"""An arm has the same colour in every panel."""

_IN_SIGNAL_FIGURE = (*_MAIN_ARMS, HE_ONLY)


def draw_figures(results: Results, folder: Path) -> list[Path]:
    """Draw the figures of all stages that were run; return the PNG files."""
    drawers = {
        "arms": {
            "confusion": draw_confusions,
            "reliability": draw_reliability,
            "decision": draw_decisions,
        },
        "ladder": {"ladder": draw_ladder},
        "shift": {"shift": draw_shift},
        "signal": {"signal": draw_signal},
    }
    paths = []
    for stage, figures in drawers.items():
        if stage not in results:
            continue
        for name, draw in figures.items():
            paths.append(save(draw(results), folder / f"{name}.png"))
    return paths


def save(figure: Figure, path: Path) -> Path:
    """Write a figure to a PNG file."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    return path


def draw_confusions(results: Results) -> Figure:
    """Draw one confusion matrix per arm, rows normalised, counts written."""
    scores = _main(results["arms"]["scores"])
    figure, axes = _grid(len(scores), 3.4, 3.2)
    for axis, (name, score) in zip(axes, scores.items(), strict=False):
        counts = np.array(score["confusion_rows_truth"], float)
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        labels = [_short(label) for label in score["classes"]]
        axis.set_xticks(range(len(labels)), labels, fontsize=7)
        axis.set_yticks(range(len(labels)), labels, fontsize=7)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(
                    column, row, f"{count:.0f}", ha="center", va="center",
                    fontsize=7, color=colour,
                )  # fmt: skip
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("call", fontsize=7)
        axis.set_ylabel("truth", fontsize=7)
    return figure


def draw_reliability(results: Results) -> Figure:
    """Draw what came true of the highest probability, with Wilson intervals."""
    scores = _main(results["arms"]["scores"])
    figure, axes = _grid(len(scores), 3.0, 3.0)
    for axis, (name, score) in zip(axes, scores.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.7", lw=1)
        bins = score["strata"].get("calibration", {}).get("reliability", [])
        x = [row["mean_probability"] for row in bins]
        y, low, high = (np.array([row["right"][k] for row in bins]) for k in range(3))
        axis.errorbar(x, y, [y - low, high - y], fmt="o-", ms=3, lw=1, capsize=2)
        axis.set(xlim=(0, 1), ylim=(0, 1))
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("highest probability", fontsize=7)
        axis.set_ylabel("share right", fontsize=7)
        axis.tick_params(labelsize=7)
    return figure


def draw_decisions(results: Results) -> Figure:
    """Draw net benefit over the threshold probability for every action."""
    scores = _main(results["arms"]["scores"])
    actions = next(iter(scores.values()))["strata"].get("decision_curves", {})
    figure, axes = _grid(max(1, len(actions)), 4.2, 3.4)
    for axis, action in zip(axes, actions, strict=False):
        for name, score in scores.items():
            curve = score["strata"]["decision_curves"][action]
            axis.plot(curve["threshold"], curve["net_benefit"], lw=1.2, label=name)
        axis.plot(curve["threshold"], curve["act_on_all"], "k:", lw=1, label="all")
        axis.axhline(0, color="0.5", lw=1, label="none")
        axis.set_ylim(-0.05, max(0.05, curve["prevalence"]) * 1.1)
        axis.set_title(action, fontsize=8)
        axis.set_xlabel("threshold probability", fontsize=7)
        axis.set_ylabel("net benefit", fontsize=7)
        axis.tick_params(labelsize=7)
    _legend(axes)
    return figure


def draw_ladder(results: Results) -> Figure:
    """Draw accuracy over the level of corruption, one panel per stain and kind."""
    rows = results["ladder"]["rows"]
    panels = list(dict.fromkeys((r["corrupted"], r["corruption"]) for r in rows))
    figure, axes = _grid(len(panels), 3.6, 3.0)
    stains = {"he": "H&E", "ihc": "IHC"}
    for axis, (stain, how) in zip(axes, panels, strict=False):
        mine = [r for r in rows if (r["corrupted"], r["corruption"]) == (stain, how)]
        _curves(axis, mine, "arm", "level", "accuracy")
        axis.set_title(f"{stains[stain]}: {how}", fontsize=8)
        axis.set_xlabel("level", fontsize=7)
        axis.set_ylabel("accuracy", fontsize=7)
    _legend(axes)
    return figure


def draw_shift(results: Results) -> Figure:
    """Draw abstention and accuracy over the level of a shift."""
    rows = results["shift"]["rows"]
    shifts = list(dict.fromkeys(row["shift"] for row in rows))
    figure, axes = _grid(2 * len(shifts), 3.6, 3.0)
    for k, how in enumerate(shifts):
        mine = [row for row in rows if row["shift"] == how]
        for axis, measure, label in (
            (axes[2 * k], "abstained", "share abstained"),
            (axes[2 * k + 1], "accuracy_of_all", "accuracy of all regions"),
        ):
            _curves(axis, mine, "arm", "level", measure)
            axis.set_title(how, fontsize=8)
            axis.set_xlabel("level", fontsize=7)
            axis.set_ylabel(label, fontsize=7)
    _legend(axes)
    return figure


def draw_signal(results: Results) -> Figure:
    """Draw accuracy over the morphology signal, and what both stains add."""
    points = results["signal"]["points"]
    figure, axes = _grid(2, 4.6, 3.6)
    for axis, key in zip(axes, ("accuracy", "both_minus"), strict=True):
        rows = [
            {"arm": arm, "signal": point["signal"], "value": value}
            for point in points
            for arm, value in point[key].items()
            if arm in _IN_SIGNAL_FIGURE
        ]
        _curves(axis, rows, "arm", "signal", "value")
        axis.set_xlabel("morphology signal", fontsize=7)
    majority = [point["majority_accuracy"] for point in points]
    axes[0].plot([p["signal"] for p in points], majority, "k:", lw=1)
    axes[0].set_ylabel("accuracy (dotted: majority class)", fontsize=7)
    axes[1].set_ylabel("accuracy of both stains minus the arm's", fontsize=7)
    _legend(axes)
    return figure


def _curves(axis: Any, rows: list[Any], group: str, x: str, y: str) -> None:
    names = list(dict.fromkeys(row[group] for row in rows))
    for name in names:
        mine = [row for row in rows if row[group] == name and row[y][0] is not None]
        if not mine:
            continue
        where = [row[x] for row in mine]
        value, low, high = (
            [np.nan if row[y][k] is None else row[y][k] for row in mine]
            for k in range(3)
        )
        colour = _COLOURS.get(name, f"C{5 + names.index(name) % 5}")
        (line,) = axis.plot(where, value, "o-", ms=3, lw=1.2, label=name, color=colour)
        axis.fill_between(where, low, high, color=line.get_color(), alpha=0.12)
    axis.tick_params(labelsize=7)


def _legend(axes: list[Any]) -> None:
    """Explain the curves in the first panel that has some."""
    for axis in axes:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=6)
            return


def _main(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {name: scores[name] for name in _MAIN_ARMS if name in scores}


def _grid(n: int, width: float, height: float) -> tuple[Figure, list[Any]]:
    columns = min(3, n)
    rows = -(-n // columns)
    figure = Figure((columns * width, rows * height), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axis in axes[n:]:
        axis.axis("off")
    return figure, axes


def _short(label: str) -> str:
    return "none" if label.startswith("no ") else label
