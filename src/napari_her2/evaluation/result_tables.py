"""The tables of an evaluation, from what ``results.json`` holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_her2.evaluation.tables import Table

Results = Mapping[str, Any]


def result_tables(results: Results) -> list[Table]:
    """Return all tables of the stages that were run."""
    makers = {
        "arms": (
            _arms,
            _strata,
            _per_class,
            _directions,
            _subgroups,
            _gates,
            _unfamiliar,
        ),
        "translation": (_translation, _advantage, _features),
        "ladder": (_ladder,),
        "shift": (_shift,),
        "signal": (_signal, _chance),
    }
    return [
        table
        for stage, tables in makers.items()
        if stage in results
        for make in tables
        if (table := make(results)) is not None
    ]


def note(results: Results, stage: str) -> str:
    """Return what every number of a stage must be read with."""
    data = results[stage]["data"]
    bundle = results["bundle"]
    return (
        f"N = {data['n_regions']} regions of {data['region_px']} px on "
        f"{data['n_slides']} slides; always saying {data['majority_class']!r} would be "
        f"right in {data['majority_accuracy']:.3f}. Split: {data['split']}; "
        f"{data['seeds']}. Bundle {bundle['name']} {bundle['version']}, sha256 "
        f"{bundle['sha256'][:16]}, training seed {bundle['training_seed']}. "
        "Intervals: 95 %, bootstrap over slides unless said otherwise. Measured by "
        "this project, nothing quoted."
    )


def _arms(results: Results) -> Table:
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
    return Table(
        "arms",
        "Calls by arm",
        ("arm", "accuracy", "macro-F1", "quadratic kappa", "both minus this"),
        tuple(rows),
        note(results, "arms"),
    )


def _strata(results: Results) -> Table:
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


def _per_class(results: Results) -> Table:
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


def _directions(results: Results) -> Table:
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


def _subgroups(results: Results) -> Table:
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


def _gates(results: Results) -> Table | None:
    gate = results["arms"]["gate"]
    if not gate:
        return None
    return Table(
        "gate",
        "What the gate took and refused",
        (
            "observed",
            "right reconstruction taken",
            "foreign one refused",
            "foreign one of another class refused",
        ),
        tuple(
            (
                {"he": "H&E", "ihc": "IHC"}[stain],
                row["right_taken"],
                row["foreign_refused"],
                row["foreign_of_another_class_refused"],
            )
            for stain, row in gate.items()
        ),
        note(results, "arms"),
    )


def _unfamiliar(results: Results) -> Table | None:
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


def _translation(results: Results) -> Table:
    rows = [
        (
            method,
            group,
            values["n_images"],
            values["psnr"],
            values["ssim"],
            values["dab_error"],
            values["dab_pearson"],
            values["positive_iou"],
            scores["score_of_fake_and_real"]["quadratic_kappa"]
            if group == "all"
            else None,
        )
        for method, scores in results["translation"]["methods"].items()
        for group, values in scores["groups"].items()
    ]
    return Table(
        "translation",
        "Reconstructed IHC against the real one (PSNR and SSIM: scikit-image, uint8, "
        "7 x 7 uniform window, mean per image; DAB: mean optical density; IoU: "
        "positive area in 64 px blocks at OD 0.15; kappa: score of fake and real)",
        (
            "method",
            "truth",
            "n",
            "PSNR dB",
            "SSIM",
            "DAB error",
            "DAB Pearson",
            "positive IoU",
            "kappa",
        ),
        tuple(rows),
        note(results, "translation"),
    )


def _advantage(results: Results) -> Table:
    rows = [
        (other, group, values["dab_pearson"], values["positive_iou"])
        for other, groups in results["translation"]["cm_gan_minus"].items()
        for group, values in groups.items()
    ]
    return Table(
        "translation_advantage",
        "CM-GAN minus what it must beat, on the same images (a correlation that is "
        "not defined counts as 0)",
        ("against", "truth", "DAB Pearson", "positive IoU"),
        tuple(rows),
        note(results, "translation"),
    )


def _features(results: Results) -> Table | None:
    found = results["translation"]["features"]
    if not found:
        return None
    first = next(iter(found.values()))
    return Table(
        "features",
        "Distances between sets of images (KID not multiplied by 1,000; MRA depends "
        "on the number of images)",
        ("method", "n", "FID", "KID", "MRA top 1", "MRA top 3", "MRA by chance"),
        tuple(
            (
                name,
                row["n_images"],
                row["fid"],
                row["kid"],
                row["mra_top_1"],
                row["mra_top_3"],
                row["mra_chance"],
            )
            for name, row in found.items()
        ),
        f"Extractor: {first['extractor']}. {first['fid_warning']}. "
        + note(results, "translation"),
    )


def _ladder(results: Results) -> Table:
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


def _shift(results: Results) -> Table:
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


def _signal(results: Results) -> Table:
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


def _chance(results: Results) -> Table:
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
