"""Tables of corruption, shift and morphology signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_her2.evaluation.table_note import note
from napari_her2.evaluation.tables import Table
from napari_her2.evaluation.verdicts import ASKED_NAMES, Asked

Results = Mapping[str, Any]

ASKED_IN_LADDER = {**ASKED_NAMES, Asked.PRODUCT: "both"}


def ladder_table(results: Results) -> Table:
    """Return accuracy on every rung of corruption."""
    stains = {"he": "H&E", "ihc": "IHC"}
    rows = [
        (
            stains[row["corrupted"]],
            row["corruption"],
            row["level"],
            row["arm"],
            row["accuracy"],
            row["macro_f1"],
            row["cam_minus"],
        )
        for row in results["ladder"]["rows"]
    ]
    return Table(
        "ladder",
        "One stain corrupted, five levels",
        (
            "corrupted",
            "corruption",
            "level",
            "arm",
            "accuracy",
            "macro-F1",
            "both with CAM minus this",
        ),
        tuple(rows),
        note(results, "ladder"),
    )


def ladder_gate_table(results: Results) -> Table | None:
    """Return how often the gate took a corrupted stain; None without a gate."""
    gate = results["ladder"]["gate"]
    if not gate:
        return None
    return Table(
        "ladder_gate",
        "One stain corrupted: how often each test of the gate takes it beside the "
        "other one (Wilson intervals). Both are real neighbouring sections, so the "
        "product asks neither",
        ("corrupted", "corruption", "level", *ASKED_IN_LADDER.values()),
        tuple(
            (
                {"he": "H&E", "ihc": "IHC"}[row["corrupted"]],
                row["corruption"],
                row["level"],
                *(row[asked] for asked in ASKED_IN_LADDER),
            )
            for row in gate
        ),
        note(results, "ladder"),
    )


def shift_table(results: Results) -> Table:
    """Return abstention and accuracy at every step of a shift."""
    rows = [
        (
            row["shift"],
            row["level"],
            row["arm"],
            row["abstained"],
            row["median_distance"],
            row["accuracy_of_all"],
            row["accuracy_of_kept"],
            row["wrong_and_kept"],
        )
        for row in results["shift"]["rows"]
    ]
    return Table(
        "shift",
        "Abstention and accuracy when both stains move away from what was learned",
        (
            "shift",
            "level",
            "arm",
            "abstained",
            "median distance",
            "accuracy of all",
            "accuracy of those kept",
            "share wrong and kept",
        ),
        tuple(rows),
        note(results, "shift"),
    )


def signal_table(results: Results) -> Table:
    """Return accuracy over the morphology signal."""
    points = results["signal"]["points"]
    arms = list(points[0]["accuracy"])
    rows = [(arm, *(point["accuracy"][arm] for point in points)) for arm in arms]
    rows.append(("majority class", *(p["majority_accuracy"] for p in points)))
    rows += [
        (f"both minus {arm}", *(point["both_minus"][arm] for point in points))
        for arm in arms
        if arm in points[0]["both_minus"]
    ]
    rows += [
        (
            f"reconstruction added to {alone}",
            *(point["reconstruction_adds"][alone] for point in points),
        )
        for alone in points[0]["reconstruction_adds"]
    ]
    return Table(
        "signal",
        "Accuracy over the morphology signal: how strongly H&E carries the HER2 level",
        ("arm", *(f"signal {point['signal']:g}" for point in points)),
        tuple(rows),
        note(results, "signal"),
    )


def chance_table(results: Results) -> Table:
    """Return the test for leakage at the lowest signal."""
    point = results["signal"]["points"][0]
    rows = [
        (
            arm,
            test["accuracy"],
            test["chance_accuracy"],
            test["above_chance"],
            "yes" if test["at_chance"] else "no",
        )
        for arm, test in point["chance"].items()
    ]
    return Table(
        "chance",
        f"Signal {point['signal']:g}, regions with tumour: who knows what H&E cannot "
        "tell?",
        ("arm", "accuracy", "chance", "above chance", "interval covers chance"),
        tuple(rows),
        note(results, "signal"),
    )
