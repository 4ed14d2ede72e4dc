"""Distances between sets of images by the features an extractor gave.

FID (Heusel, NeurIPS 2017), KID (Binkowski, ICLR 2018) and MRA, the share of fakes
whose nearest real image is their own (HistDiST, arXiv 2505.06793). All take
feature arrays (n, d): which extractor made them must be printed with the number.
"""

from __future__ import annotations

import numpy as np

from napari_her2.evaluation.intervals import Floats

FEWEST_FOR_FID = 1000
"""Below this number of images FID must carry a warning."""


def frechet(
    mean_a: Floats, covariance_a: Floats, mean_b: Floats, covariance_b: Floats
) -> float:
    """Return the Frechet distance of two normal distributions.

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); the trace of the root is
    the sum of the roots of the eigenvalues of A C_b A, A the root of C_a.

    Examples
    --------
    >>> eye = np.eye(2)
    >>> round(frechet(np.zeros(2), eye, np.array([3.0, 4.0]), eye), 9)
    25.0
    """
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ covariance_b @ root)
    apart = mean_a - mean_b
    return float(
        apart @ apart
        + np.trace(covariance_a)
        + np.trace(covariance_b)
        - 2 * np.sqrt(np.clip(inner, 0, None)).sum()
    )


def fid(real: Floats, fake: Floats) -> float:
    """Return the Frechet distance of the normals fitted to two sets of features."""
    return frechet(
        real.mean(0),
        np.atleast_2d(np.cov(real, rowvar=False)),
        fake.mean(0),
        np.atleast_2d(np.cov(fake, rowvar=False)),
    )


def kid(real: Floats, fake: Floats) -> float:
    """Return the unbiased squared MMD with the kernel (x y / d + 1)^3.

    Not multiplied by 1,000; unbiased, so that it can be below 0.
    """
    d = real.shape[1]

    def kernel(a: Floats, b: Floats) -> Floats:
        values: Floats = (a @ b.T / d + 1) ** 3
        return values

    def within(a: Floats) -> float:
        values = kernel(a, a)
        n = len(a)
        return float((values.sum() - np.trace(values)) / (n * (n - 1)))

    return within(real) + within(fake) - 2 * float(kernel(real, fake).mean())


def mra(real: Floats, fake: Floats, *, top: int = 1) -> float:
    """Return the share of fakes whose own real image is among the ``top`` nearest.

    Nearest by cosine among all real images: the value depends on their number,
    which must be printed. Chance is ``top / n``.

    Examples
    --------
    >>> mra(np.eye(4), np.eye(4)), mra(np.eye(4), np.roll(np.eye(4), 1, axis=0))
    (1.0, 0.0)
    """
    a = real / np.maximum(np.linalg.norm(real, axis=1, keepdims=True), 1e-12)
    b = fake / np.maximum(np.linalg.norm(fake, axis=1, keepdims=True), 1e-12)
    likeness = b @ a.T
    better = (likeness > np.diagonal(likeness)[:, None]).sum(1)
    return float((better < top).mean())
