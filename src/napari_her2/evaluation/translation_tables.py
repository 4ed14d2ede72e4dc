"""Tables of reconstructed images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_her2.evaluation.table_note import note
from napari_her2.evaluation.tables import Table

Results = Mapping[str, Any]


def similarity_table(results: Results) -> Table:
    """Return PSNR, SSIM, DAB and IoU per method and class."""
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
    if (backward := results["translation"]["he_from_ihc"]) is not None:
        rows.append(
            (
                "CM-GAN, H&E from IHC",
                "all",
                backward["n_images"],
                backward["psnr"],
                backward["ssim"],
                None,
                None,
                None,
                None,
            )
        )
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


def advantage_table(results: Results) -> Table:
    """Return what CM-GAN is ahead of the other methods."""
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


def feature_table(results: Results) -> Table | None:
    """Return FID, KID and MRA; None without an extractor."""
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
