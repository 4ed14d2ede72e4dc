"""Rigid and affine alignment by SimpleITK, coarse to fine.

The correlation of the two occupancies is what is made large: both are high on
tissue and low on glass, lumen and fat, whatever the stain. Patches that will
check the result are masked out.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_her2.core.geometry import Affine
from napari_her2.slides.registration.section import Floats, Section

_LEVELS: Final = (4, 2, 1)
_SAMPLES: Final = 60_000
_MOST_SAMPLED: Final = 0.3
_SEED: Final = 1
_STEPS: Final = 80
_MOST_SHEAR: Final = 1.35
"""Largest stretch over smallest; no section is cut and mounted worse than that."""

Motion = Literal["similarity", "affine"]


def align(
    fixed: Section,
    moving: Section,
    start: Affine,
    *,
    motion: Motion,
    fitted: NDArray[np.bool_],
    levels: tuple[int, ...] = _LEVELS,
) -> tuple[Affine, float]:
    """Refine an affine map.

    Parameters
    ----------
    start
        (y, x) µm of the fixed section -> µm of the moving one.
    motion
        What may change: turn, size and shift, or any affine part.
    fitted
        (h, w) of the fixed section, False where nothing may be looked at.
    levels
        By how much the images are shrunk, one fit after the other.

    Returns
    -------
    Affine
        The refined map; the start itself where refining made it worse, drove
        the sections apart or sheared one beyond what happens to sections.
    float
        Correlation in [-1, 1], larger is better.
    """
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.REGULAR)
    share = min(_MOST_SAMPLED, _SAMPLES / fitted.size)
    method.SetMetricSamplingPercentage(share, _SEED)
    method.SetMetricFixedMask(_image(fitted.astype(np.uint8), fixed.um_per_px))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetNumberOfThreads(1)  # sums in one order: the same result every time
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=fixed.um_per_px,
        minStep=0.001 * fixed.um_per_px,
        numberOfIterations=_STEPS,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-7,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(levels)
    method.SetSmoothingSigmasPerLevel([0.7 * one for one in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    change: sitk.Transform = (
        sitk.Similarity2DTransform()
        if motion == "similarity"
        else sitk.AffineTransform(2)
    )
    change.SetCenter((fixed.size_um[::-1] / 2).tolist())
    method.SetMovingInitialTransform(_to_itk(start))
    method.SetInitialTransform(change, inPlace=True)
    images = [_image(one.occupancy, one.um_per_px) for one in (fixed, moving)]
    try:
        method.Execute(*images)
    except RuntimeError:  # nothing of the two overlaps
        return start, -1.0
    found = _from_itk(change).then(start)
    stretches = np.linalg.svd(found.matrix[:2, :2], compute_uv=False)
    if stretches[0] > _MOST_SHEAR * stretches[1]:
        return start, -1.0
    return found, -float(method.GetMetricValue())


def _image(array: Floats | NDArray[np.uint8], um_per_px: float) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing((um_per_px, um_per_px))
    image.SetOrigin((um_per_px / 2, um_per_px / 2))
    return image


def _to_itk(affine: Affine) -> sitk.AffineTransform:
    matrix = affine.matrix
    transform = sitk.AffineTransform(2)
    transform.SetMatrix(matrix[1::-1, 1::-1].ravel().tolist())
    transform.SetTranslation(matrix[1::-1, 2].tolist())
    return transform


def _from_itk(transform: sitk.Transform) -> Affine:
    """Return what a linear transform does, from three points."""
    corner, right, down = (
        np.array(transform.TransformPoint(point)[::-1])
        for point in ((0.0, 0.0), (1000.0, 0.0), (0.0, 1000.0))
    )
    columns = [(down - corner) / 1000, (right - corner) / 1000, corner]
    return Affine.from_matrix(np.column_stack(columns))
