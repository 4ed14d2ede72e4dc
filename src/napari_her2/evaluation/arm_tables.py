"""Tables of what was called in every arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_her2.evaluation.near_cut_off import EXPLANATION
from napari_her2.evaluation.table_note import note
from napari_her2.evaluation.tables import Table
from napari_her2.evaluation.verdicts import ASKED_NAMES

Results = Mapping[str, Any]


def calls_table(results: Results) -> Table:
    """Return accuracy, F1 and kappa of every arm."""
    part = results["arms"]
    rows = [
        (
            name,
            score["accuracy"],
            score["macro_f1"],
            score["strata"].get("quadratic_kappa"),
            part["both_minus"].get(name),
        )
        for name, score in part["scores"].items()
    ]
    first = next(iter(part["scores"].values()))
    rows.append(
        (
            "majority class",
            first["majority_accuracy"],
            first["majority_macro_f1"],
            0.0,
            None,
        )
    )
    clear = part["clear"]
    if clear is not None:
        among = f"among the {clear['n_regions']} clear of every cut-off"
        rows += [
            (f"{name}, {among}", value, None, None, clear["both_minus"].get(name))
            for name, value in clear["accuracy"].items()
        ]
        majority = clear["majority_accuracy"]
        rows.append((f"majority class, {among}", majority, None, None, None))
    return Table(
        "arms",
        "Calls by arm",
        ("arm", "accuracy", "macro-F1", "quadratic kappa", "both minus this"),
        tuple(rows),
        note(results, "arms") + ("" if clear is None else f" {EXPLANATION}"),
    )


def strata_table(results: Results) -> Table:
    """Return calibration and prediction sets of every arm."""
    rows = []
    for name, score in results["arms"]["scores"].items():
        strata = score["strata"]
        if not strata["n_regions"]:
            continue
        calibration = strata["calibration"]
        sets = results["arms"]["calibration"].get(name, {}).get("sets", {})
        rows.append(
            (
                name,
                strata["accuracy_given_tumour"],
                calibration["classwise_ece"],
                calibration["brier"],
                calibration["ordinal_rps"],
                sets.get("coverage"),
                sets.get("mean_size"),
            )
        )
    return Table(
        "strata",
        "Probabilities of the strata, among regions with tumour",
        (
            "arm",
            "accuracy",
            "classwise ECE",
            "Brier",
            "ordinal RPS",
            "prediction set holds the truth",
            "mean size of the set",
        ),
        tuple(rows),
        note(results, "arms"),
    )


def class_table(results: Results) -> Table:
    """Return precision, recall and F1 per class."""
    rows = [
        (
            name,
            row["class"],
            row["n_true"],
            row["precision"],
            row["recall"],
            row["f1"],
        )
        for name, score in results["arms"]["scores"].items()
        for row in score["per_class"]
    ]
    return Table(
        "per_class",
        "Precision, recall and F1 per class (Wilson intervals, regions independent)",
        ("arm", "class", "n", "precision", "recall", "F1"),
        tuple(rows),
        note(results, "arms"),
    )


def error_table(results: Results) -> Table:
    """Return under-calls, over-calls and their costs."""
    rows: list[tuple[Any, ...]] = []
    for name, score in results["arms"]["scores"].items():
        direction = score["strata"].get("direction")
        if direction is None:
            continue
        rows += [
            (name, "all under-calls", direction["under_calls"],
             direction["under_call_share"]),
            (name, "all over-calls", direction["over_calls"],
             direction["over_call_share"]),
            (name, "tumour missed", direction["missed_tumour"], None),
        ]  # fmt: skip
        rows += [
            (
                name,
                f"{cost['truth']} called {cost['call']}: {cost['meaning']}",
                cost["count"],
                cost["share_of_truth"],
            )
            for cost in direction["costs"]
        ]
    return Table(
        "errors",
        "Direction of errors and what they cost (Wilson intervals; a cost's share is "
        "of its truth)",
        ("arm", "error", "count", "share"),
        tuple(rows),
        note(results, "arms"),
    )


def low_table(results: Results) -> Table:
    """Return the low and ultralow subgroup."""
    rows = [
        (
            name,
            score["strata"]["low"]["n_regions"],
            score["strata"]["low"]["accuracy"],
            *score["strata"]["low"]["recall"].values(),
            score["strata"]["low"]["ultralow_called_zero"],
            score["strata"]["low"]["zero_called_ultralow_or_more"],
        )
        for name, score in results["arms"]["scores"].items()
        if "low" in score["strata"]
    ]
    return Table(
        "low",
        "The low and ultralow subgroup: truths 0, 0+ and 1+ (Wilson intervals)",
        (
            "arm",
            "n",
            "accuracy",
            "recall 0",
            "recall 0+",
            "recall 1+",
            "0+ called 0",
            "0 called 0+ or more",
        ),
        tuple(rows),
        note(results, "arms"),
    )


def gate_table(results: Results) -> Table | None:
    """Return what the gate took and refused; None without a gate."""
    gate = results["arms"]["gate"]
    if not gate:
        return None
    return Table(
        "gate",
        "What the gate took and refused, each of its tests alone and both",
        (
            "observed",
            "asked",
            "right reconstruction taken",
            "foreign one refused",
            "foreign one of another class refused",
        ),
        tuple(
            (
                {"he": "H&E", "ihc": "IHC"}[stain],
                name,
                row["asked"][asked]["right_taken"],
                row["asked"][asked]["foreign_refused"],
                row["asked"][asked]["foreign_of_another_class_refused"],
            )
            for stain, row in gate.items()
            for asked, name in ASKED_NAMES.items()
        ),
        note(results, "arms"),
    )


def unfamiliar_table(results: Results) -> Table | None:
    """Return abstention; None if the bundle cannot tell."""
    shares = results["arms"]["unfamiliar"]
    if shares is None:
        return None
    names = {"he": "H&E", "ihc": "IHC", "either": "either stain"}
    return Table(
        "unfamiliar",
        "Regions taken for unfamiliar (Wilson intervals; threshold at distance 1)",
        ("stain", "n", "abstained", "median distance", "largest distance"),
        tuple(
            (
                names[stain],
                row["n_regions"],
                row["abstained"],
                row["median_distance"],
                row["largest_distance"],
            )
            for stain, row in shares.items()
        ),
        note(results, "arms"),
    )
