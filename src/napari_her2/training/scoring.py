"""Measure a trained network on slides it has never seen, per arm and class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import rgb2hed
from torch import Tensor

from napari_her2.core.records import Evidence
from napari_her2.models.network import Her2Network
from napari_her2.training.augment import to_tensor
from napari_her2.training.progress import TrainProgress, TrainStage
from napari_her2.training.tiles import CLASSES, TileCache


def confusion_scores(confusion: NDArray[np.int64]) -> dict[str, Any]:
    """Return accuracy, macro-F1 and the majority baseline of a confusion matrix.

    Rows are truth, columns are calls. Macro-F1 averages over the classes that
    occur in the truth.

    Examples
    --------
    >>> scores = confusion_scores(np.array([[3, 1], [0, 4]]))
    >>> scores["accuracy"], scores["majority_baseline"]
    (0.875, 0.5)
    """
    hits, truth, calls = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    f1 = 2 * hits / np.maximum(truth + calls, 1)
    n = int(confusion.sum())
    return {
        "n_tiles": n,
        "accuracy": round(float(hits.sum() / n), 4),
        "macro_f1": round(float(f1[truth > 0].mean()), 4),
        "majority_baseline": round(float(truth.max() / n), 4),
        "f1_per_class": {
            name: round(float(value), 4)
            for name, value, count in zip(CLASSES, f1, truth, strict=False)
            if count
        },
        "confusion_rows_truth": confusion.tolist(),
    }


def mean_dab(image: NDArray[np.uint8]) -> float:
    """Return the mean DAB density of an image (h, w, 3) by colour deconvolution.

    Ruifrok and Johnston's vectors as in scikit-image; a relative measure.
    """
    return float(np.clip(rgb2hed(image)[..., 2], 0, None).mean())


@dataclass(slots=True)
class Scorer:
    """Collects the calls of all arms on the tiles of a cache.

    Attributes
    ----------
    results
        What the card shows, filled when :meth:`run` has ended.
    """

    network: Her2Network
    cache: TileCache
    results: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Iterator[TrainProgress]:
        """Score every tile in every arm."""
        n, k = len(self.cache), len(CLASSES)
        confusion = {arm: np.zeros((k, k), np.int64) for arm in Evidence}
        dab = np.zeros((n, 2))
        labels = self.cache.labels[:, 0].astype(int)
        inside = slice(
            self.network.halo_px, self.network.halo_px + self.network.core_px
        )
        for index in range(n):
            he = to_tensor([self.cache.he[index]])
            real = self.cache.ihc[index]
            for arm, (calls, synthetic) in self._arms(he, to_tensor([real])).items():
                confusion[arm][labels[index], calls] += 1
                if arm is Evidence.HE_ONLY and synthetic is not None:
                    fake = synthetic[0].permute(1, 2, 0).numpy()
                    dab[index] = mean_dab(real[inside, inside]), mean_dab(fake)
            yield TrainProgress(TrainStage.SCORING, index + 1, n)
        self.results = {
            "data": "virtual slides never seen in training; H&E and IHC aligned by "
            "the affine part of the true transform; one call per tile",
            "n_slides": int(self.cache.slides.max()) + 1,
            "arms": {arm.value: confusion_scores(confusion[arm]) for arm in Evidence},
            "synthetic_ihc": _dab_agreement(dab, labels),
        }

    def _arms(
        self, he: Tensor, ihc: Tensor
    ) -> dict[Evidence, tuple[int, Tensor | None]]:
        images = {
            Evidence.BOTH: (he, ihc),
            Evidence.HE_ONLY: (he, None),
            Evidence.IHC_ONLY: (None, ihc),
        }
        with torch.inference_mode():
            outputs = {arm: self.network(*given) for arm, given in images.items()}
        return {
            arm: (int(out.logits.argmax(1)), out.synthetic_ihc)
            for arm, out in outputs.items()
        }


def _dab_agreement(dab: NDArray[np.float64], labels: NDArray[Any]) -> dict[str, Any]:
    """Compare mean DAB of real and synthetic tiles, overall and per true class."""
    per_class = {
        name: {
            "n_tiles": int((labels == index).sum()),
            "real_mean_dab": round(float(dab[labels == index, 0].mean()), 5),
            "synthetic_mean_dab": round(float(dab[labels == index, 1].mean()), 5),
            "pearson": _pearson(dab[labels == index]),
        }
        for index, name in enumerate(CLASSES)
        if (labels == index).any()
    }
    return {"dab_pearson": _pearson(dab), "per_class": per_class}


def _pearson(pairs: NDArray[np.float64]) -> float | None:
    """Return the correlation, None where it is not defined."""
    if len(pairs) < 3 or bool(np.any(np.ptp(pairs, axis=0) == 0)):
        return None
    matrix = np.asarray(np.corrcoef(pairs.T))
    return round(float(matrix[0, 1]), 4)
