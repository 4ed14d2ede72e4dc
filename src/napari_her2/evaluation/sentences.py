"""The main results in sentences, each saying whether what was asked was reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from napari_her2.core.records import Arm
from napari_her2.evaluation.comparisons import HE_ONLY
from napari_her2.evaluation.verdicts import Asked

Results = Mapping[str, Any]

BOTH_GOAL = 0.953
GATE_GOAL = 0.95
ABSTAIN_GOAL = 0.02


def headline(results: Results) -> Iterator[str]:
    """Yield what a reader must know first, from the stages that were run."""
    if "arms" in results:
        yield from _arms(results["arms"])
    if "ladder" in results:
        yield from _ladder(results["ladder"])
    if "translation" in results:
        yield from _translation(results["translation"])
    if "signal" in results:
        yield from _signal(results["signal"])
    if "shift" in results:
        yield from _shift(results["shift"])


def _arms(part: Results) -> Iterator[str]:
    scores, data = part["scores"], part["data"]
    both = scores[Arm.BOTH]["accuracy"]
    yield (
        f"Both stains: accuracy {_show(both)} on {data['n_regions']} regions of "
        f"{data['n_slides']} slides (majority class {data['majority_accuracy']:.3f}); "
        f"asked was {BOTH_GOAL}: {_verdict(both[0] >= BOTH_GOAL)}."
    )
    clear = part["clear"]
    if clear is not None:
        reached = _show(clear["accuracy"][Arm.BOTH])
        yield (
            f"{clear['n_near']} of these regions lie so near a cut-off of the "
            "guideline that as many other cells of the same tissue could have another "
            f"score; among the other {clear['n_regions']} both stains reach {reached} "
            f"(majority class {clear['majority_accuracy']:.3f})."
        )
    less_ihc = part["both_minus"][Arm.IHC]
    yield (
        f"Both stains minus IHC alone: {_show(less_ihc)}; asked was not worse: "
        f"{_verdict(less_ihc[0] >= 0)}."
    )
    alone = scores[Arm.HE]["accuracy"]
    apart = None not in (both[1], alone[2]) and both[1] > alone[2]
    yield (
        f"H&E alone: {_show(alone)}; asked was an interval below that of both "
        f"stains: {_verdict(apart)}."
    )
    for name, added in part["reconstruction_adds"].items():
        yield (
            f"The reconstruction adds {_show(added)} to the accuracy of {name}"
            f"{' (an equally trained network)' if name == HE_ONLY else ''}; it can "
            "add no information, and this is reported as found."
        )
    for stain, gate in part["gate"].items():
        observed = {"he": "H&E", "ihc": "IHC"}[stain]
        (taken, refused), by_agreement, by_reward = (
            (part["right_taken"], part["foreign_refused"])
            for part in (
                gate["asked"][asked]
                for asked in (Asked.PRODUCT, Asked.AGREEMENT, Asked.REWARD)
            )
        )
        reached = taken[0] >= GATE_GOAL and refused[0] >= GATE_GOAL
        yield (
            f"The gate, seeing {observed} and deciding as the product does (agreement "
            "test, then reward), takes the right reconstruction in "
            f"{_show(taken)} and refuses one of another slide in {_show(refused)}; "
            f"asked was {GATE_GOAL} of each: {_verdict(reached)}. The agreement test "
            f"alone: {_show(by_agreement[0])} and {_show(by_agreement[1])}; the "
            f"reward alone: {_show(by_reward[0])} and {_show(by_reward[1])}."
        )
    if part["unfamiliar"] is not None:
        away = part["unfamiliar"]["either"]["abstained"]
        yield (
            f"It abstains from {_show(away)} of these virtual regions; asked was at "
            f"most {ABSTAIN_GOAL}: {_verdict(away[0] <= ABSTAIN_GOAL)}."
        )


def _ladder(part: Results) -> Iterator[str]:
    from napari_her2.evaluation.ladder import BOTH, CORRUPTED_ALONE

    rows = [row for row in part["rows"] if row["level"] > 0 and row["arm"] != BOTH]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if row["arm"] == arm]
        behind = [r for r in mine if r["cam_minus"][0] < 0]
        worse = [r for r in behind if (r["cam_minus"][2] or 0) < 0]
        name = "that stain alone" if arm == CORRUPTED_ALONE else arm
        yield (
            f"With one stain corrupted, both stains with CAM are behind {name!r} in "
            f"{len(behind)} of {len(mine)} rungs, in {len(worse)} of them with an "
            "interval below 0."
        )


def _translation(part: Results) -> Iterator[str]:
    for other, groups in part["cm_gan_minus"].items():
        for measure, words in (
            ("dab_pearson", "correlation of DAB density"),
            ("positive_iou", "IoU of positive area"),
        ):
            better = [g for g, v in groups.items() if (v[measure][1] or 0) > 0]
            yield (
                f"CM-GAN against {other}, {words}: better with an interval above 0 "
                f"in {len(better)} of {len(groups)} groups"
                f"{' (' + ', '.join(better) + ')' if better else ''}."
            )


def _signal(part: Results) -> Iterator[str]:
    first = part["points"][0]
    for arm in (Arm.HE, Arm.HE_RECONSTRUCTED, HE_ONLY):
        if arm in first["chance"]:
            test = first["chance"][arm]
            yield (
                f"Morphology signal {first['signal']:g}, {arm}: "
                f"{_show(test['above_chance'])} above chance among "
                f"{test['n_regions']} regions with tumour; asked was chance: "
                f"{_verdict(test['at_chance'])}."
            )
    gaps = ", ".join(
        f"{_show(point['both_minus'][Arm.HE_RECONSTRUCTED])} at {point['signal']:g}"
        for point in part["points"]
        if Arm.HE_RECONSTRUCTED in point["both_minus"]
    )
    if gaps:
        yield f"Both stains minus H&E and reconstruction, by morphology signal: {gaps}."


def _shift(part: Results) -> Iterator[str]:
    rows = [row for row in part["rows"] if row["abstained"][0] is not None]
    if not rows:
        yield "This bundle cannot tell unfamiliar tissue, so it never abstains for it."
        return
    worst = max(rows, key=lambda row: row["wrong_and_kept"])
    yield (
        f"When both stains are shifted, at most {worst['wrong_and_kept']:.3f} of the "
        f"regions are wrong and not abstained from ({worst['shift']}, level "
        f"{worst['level']}, {worst['arm']})."
    )


def _show(interval: list[float | None]) -> str:
    value, low, high = interval
    if value is None:
        return "not defined"
    if low is None or high is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"
