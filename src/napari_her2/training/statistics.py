"""What is counted after training: calibration, gate and familiarity of a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from napari_her2.core.records import Arm
from napari_her2.core.score import Score, Stain
from napari_her2.models.calibration import (
    Calibration,
    adaptive_scores,
    conformal_quantile,
    softmax,
)
from napari_her2.models.gate import SUBSETS, Gate
from napari_her2.training.known_tissue import fit_familiarity

__all__ = ["agreement_threshold", "fit_calibration", "fit_familiarity", "fit_gate"]

_RIDGE = 0.1


def temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature in [0.05, 20] with the least negative log likelihood.

    ``logits`` (n, K), ``labels`` (n,) as columns (Guo et al., ICML 2017).
    """
    given, truth = np.asarray(logits, np.float64), np.asarray(labels, np.intp)

    def loss(log_temperature: float) -> float:
        probable = softmax(given / np.exp(log_temperature))
        right = probable[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(right, 1e-300)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def fit_calibration(
    logits: Mapping[Arm, ArrayLike],
    labels: ArrayLike,
    slides: ArrayLike,
    classes: Sequence[str],
    alpha: float = 0.1,
) -> Calibration:
    """Fit a temperature and a conformal quantile for every arm.

    Parameters
    ----------
    logits
        (n, K) per arm, of regions that no part of the network was trained on.
    labels, slides
        (n,): true class and the slide of each region. Half of the slides give the
        temperatures, the others the quantiles, so that these see fresh probabilities.
    classes
        Names of the columns; those that are no score take no part in the sets.
    alpha
        Share of sets that may miss the truth.
    """
    truth, group = np.asarray(labels, np.intp), np.asarray(slides)
    known = np.unique(group)
    first = np.isin(group, np.random.default_rng(0).permutation(known)[::2])
    scores = {str(score) for score in Score}
    columns = [k for k, name in enumerate(classes) if name in scores]
    with_tumour = np.isin(truth, columns) & ~first
    place = np.searchsorted(columns, truth[with_tumour])
    temperatures, quantiles = {}, {}
    for arm, values in logits.items():
        given = np.asarray(values, np.float64)
        temperatures[arm] = temperature(given[first], truth[first])
        strata = softmax(given[with_tumour][:, columns] / temperatures[arm])
        found = adaptive_scores(strata)[np.arange(len(place)), place]
        quantiles[arm] = conformal_quantile(found, alpha)
    return Calibration(alpha, temperatures, quantiles)


def fit_gate(
    embeddings: Mapping[str, Tensor],
    labels: ArrayLike,
    min_agreement: Mapping[Stain, float] | None = None,
    names: Sequence[str] = SUBSETS,
) -> Gate:
    """Fit the projection, the class prototypes and their spreads.

    Parameters
    ----------
    embeddings
        (n, D) per subset of stains (``he``, ``ihc``, ``he+ihc``) of real images of
        the same n regions; regions seen in training will do.
    labels
        (n,) class of each region.
    min_agreement
        By observed stain, from :func:`agreement_threshold`; missing ones accept any.
    names
        The subsets, in the order of the prototypes.

    Notes
    -----
    DyMo's backbone learns a projection for cosine similarities. Ours is fitted: the
    directions that tell the classes apart after the scatter within classes is made
    a sphere (Fisher), over all subsets together.
    """
    truth = torch.as_tensor(np.asarray(labels, np.int64))
    n_classes = int(truth.max()) + 1
    stacked = {name: embeddings[name].detach().double().cpu() for name in names}
    everything = torch.cat(list(stacked.values()))
    every_label = truth.repeat(len(names))
    centre = everything.mean(0)
    projection = _fisher(everything - centre, every_label, n_classes)
    shape = (len(names), n_classes)
    prototypes = torch.zeros(*shape, projection.shape[1], dtype=torch.float64)
    spreads = torch.ones(shape, dtype=torch.float64)
    counts = torch.zeros(shape, dtype=torch.float64)
    for row, name in enumerate(names):
        points = functional.normalize((stacked[name] - centre) @ projection, dim=1)
        for k in range(n_classes):
            mine = points[truth == k]
            counts[row, k] = len(mine)
            if len(mine):
                prototype = functional.normalize(mine.mean(0), dim=0)
                distance = 1 - mine @ prototype
                prototypes[row, k] = prototype
                spreads[row, k] = (distance**2).mean().sqrt().clamp(min=1e-6)
    least = [float((min_agreement or {}).get(stain, -1.0)) for stain in Stain]
    return Gate(
        centre.float(),
        projection.float(),
        prototypes.float(),
        spreads.float(),
        counts.float(),
        torch.tensor(least),
        names=names,
    )


def agreement_threshold(right: ArrayLike, wrong: ArrayLike) -> float:
    """Return the agreement that errs equally often on right and wrong sections.

    ``right`` and ``wrong`` are agreements (n,) of held-out reconstructions with
    their own and with other sections.
    """
    good, bad = np.asarray(right, np.float64), np.asarray(wrong, np.float64)
    steps: NDArray[np.float64] = np.unique(np.concatenate([good, bad]))
    borders = (steps[1:] + steps[:-1]) / 2 if len(steps) > 1 else steps
    gaps = [abs((good < b).mean() - (bad >= b).mean()) for b in borders]
    equal = borders[np.isclose(gaps, min(gaps))]
    return float((equal[0] + equal[-1]) / 2)


def _fisher(points: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return (D, P): whitened axes between the classes, P below their number."""
    width = points.shape[1]
    means = {k: points[labels == k].mean(0) for k in labels.unique().tolist()}
    rest = points - torch.stack([means[k] for k in labels.tolist()])
    within = rest.T @ rest / len(points)
    size = within.diagonal().mean().clamp(min=1e-12)
    within = (1 - _RIDGE) * within
    within += _RIDGE * size * torch.eye(width, dtype=points.dtype)
    spread, axes = torch.linalg.eigh(within)
    whiten = axes / spread.sqrt()
    between = torch.stack(list(means.values())) @ whiten
    _, _, directions = torch.linalg.svd(between, full_matrices=False)
    axes_between: Tensor = directions[: max(1, min(n_classes - 1, len(directions)))]
    fisher: Tensor = whiten @ axes_between.T
    return fisher
