"""From what was measured per image to a table per method and class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.score import Score, Stain
from napari_her2.evaluation.classification import (
    accuracy,
    confusions_by_slide,
    weighted_kappa,
)
from napari_her2.evaluation.image_similarity import Image, psnr, ssim
from napari_her2.evaluation.intervals import (
    Floats,
    Interval,
    bootstrap,
    correlation_by_slide,
    mean_by_slide,
    ratio,
    sums_by_slide,
)
from napari_her2.evaluation.probabilities import SharedClasses
from napari_her2.evaluation.regions import Regions
from napari_her2.evaluation.translation import Translated

ALL = "all"
BELOW_THREE = "all below 3+"


def translation_scores(
    measured: Translated,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Score every method, over all regions, per class, and below 3+ alone.

    ``truth`` (n,) are numbers of the shared classes.
    """
    groups = _groups(truth, classes)
    real = classes.probabilities(measured.logits["real"])
    return {
        name: {
            "groups": {
                group: _scores(values[rows], slides[rows], seed)
                for group, rows in groups.items()
            },
            "score_of_fake_and_real": _agreement(
                classes.probabilities(measured.logits[name]),
                real,
                slides,
                classes,
                seed,
            ),
        }
        for name, values in measured.values.items()
    }


def better_than(
    measured: Translated,
    method: str,
    truth: NDArray[np.intp],
    slides: NDArray[np.intp],
    classes: SharedClasses,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return by how much a method beats every other, per class, with intervals.

    Two measures: Pearson's correlation of the mean DAB density with the real
    one, and the block-wise IoU of positive areas.
    """
    mine = measured.values[method]
    return {
        name: {
            group: {
                "dab_pearson": _paired(
                    _products(mine[rows]), _products(theirs[rows]), slides[rows],
                    _correlation, seed,
                ).to_json(),
                "positive_iou": _paired(
                    mine[rows, 4:6], theirs[rows, 4:6], slides[rows], ratio, seed
                ).to_json(),
            }
            for group, rows in _groups(truth, classes).items()
        }
        for name, theirs in measured.values.items()
        if name != method
    }  # fmt: skip


def backward_scores(
    regions: Regions, fakes: Sequence[Image], *, seed: int = 0
) -> dict[str, Any]:
    """Compare H&E reconstructed from IHC with the real one: PSNR and SSIM only."""
    values = []
    for region, fake in enumerate(fakes):
        real = regions.core(Stain.HE, region)
        values.append((psnr(real, fake), ssim(real, fake)))
    noise, likeness = np.array(values).T
    return {
        "n_images": len(values),
        "psnr": mean_by_slide(noise, regions.slides, seed=seed).to_json(),
        "ssim": mean_by_slide(likeness, regions.slides, seed=seed).to_json(),
    }


def _groups(
    truth: NDArray[np.intp], classes: SharedClasses
) -> dict[str, NDArray[np.intp]]:
    groups = {ALL: np.arange(len(truth))}
    if Score.THREE.value in classes.names:
        three = classes.names.index(Score.THREE.value)
        groups[BELOW_THREE] = np.flatnonzero(truth != three)
    for number, name in enumerate(classes.names):
        groups[name] = np.flatnonzero(truth == number)
    return {name: rows for name, rows in groups.items() if len(rows)}


def _scores(values: Floats, slides: NDArray[np.intp], seed: int) -> dict[str, Any]:
    noise, likeness, real, fake, _, _ = values.T
    return {
        "n_images": len(values),
        "psnr": mean_by_slide(noise, slides, seed=seed).to_json(),
        "psnr_sd": round(float(noise.std()), 4),
        "ssim": mean_by_slide(likeness, slides, seed=seed).to_json(),
        "ssim_sd": round(float(likeness.std()), 4),
        "dab_real": round(float(real.mean()), 5),
        "dab_fake": round(float(fake.mean()), 5),
        "dab_error": mean_by_slide(fake - real, slides, seed=seed).to_json(),
        "dab_absolute_error": mean_by_slide(
            np.abs(fake - real), slides, seed=seed
        ).to_json(),
        "dab_pearson": correlation_by_slide(real, fake, slides, seed=seed).to_json(),
        "positive_iou": bootstrap(
            sums_by_slide(values[:, 4:6], slides), ratio, seed=seed
        ).to_json(),
    }


def _agreement(
    fake: Floats,
    real: Floats,
    slides: NDArray[np.intp],
    classes: SharedClasses,
    seed: int,
) -> dict[str, Any]:
    """Compare what the classifier says of a fake and of the real IHC, both alone."""
    columns = classes.strata_columns
    a, b = real.argmax(1), fake.argmax(1)
    both = np.isin(a, columns) & np.isin(b, columns)
    result: dict[str, Any] = {
        "same_call": mean_by_slide((a == b).astype(float), slides, seed=seed).to_json(),
        "n_both_scored": int(both.sum()),
        "quadratic_kappa": [None, None, None],
    }
    if both.any():
        strata = confusions_by_slide(
            np.searchsorted(columns, a[both]),
            np.searchsorted(columns, b[both]),
            slides[both],
            len(columns),
        )
        result["quadratic_kappa"] = bootstrap(
            strata, weighted_kappa, seed=seed
        ).to_json()
        result["same_score"] = bootstrap(strata, accuracy, seed=seed).to_json()
    return result


def _products(values: Floats) -> Floats:
    """Return what Pearson's correlation needs the sums of, (n, 6)."""
    a, b = values[:, 2], values[:, 3]
    a, b = a - a.mean(), b - b.mean()
    return np.stack([np.ones(len(a)), a, b, a * a, b * b, a * b], -1)


def _correlation(sums: Floats) -> Floats:
    """Return the correlation, 0 where one side does not vary."""
    n, a, b, aa, bb, ab = np.moveaxis(sums, -1, 0)
    spread = np.sqrt(np.maximum((aa - a * a / n) * (bb - b * b / n), 0))
    flat = spread <= 1e-12 * n
    result: Floats = np.where(flat, 0, (ab - a * b / n) / np.where(flat, 1, spread))
    return result


def _paired(
    mine: Floats, theirs: Floats, slides: NDArray[np.intp], statistic: Any, seed: int
) -> Interval:
    sums = sums_by_slide(np.stack([mine, theirs], 1), slides)
    return bootstrap(
        sums, lambda s: statistic(s[..., 0, :]) - statistic(s[..., 1, :]), seed=seed
    )
