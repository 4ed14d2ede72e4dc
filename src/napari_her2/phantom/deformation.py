"""Where a point of the H&E section lies on the IHC section, and back.

The map from IHC to H&E is explicit (the inverse affine part plus a sum of long
waves), because rendering asks for it at every pixel; the other direction is
found by iteration to a thousandth of a nanometre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_her2.core.geometry import Affine
from napari_her2.phantom.noise import Floats
from napari_her2.phantom.parameters import PhantomRecipe

_WAVES = 4


@dataclass(frozen=True, slots=True)
class SectionTransform:
    """The exact transform between the two sections, points (..., 2) as (y, x) µm.

    ``waves`` has one row (ky, kx, phase, amplitude y, amplitude x) per wave.
    """

    he_to_ihc_um: Affine
    waves: tuple[tuple[float, float, float, float, float], ...]

    @classmethod
    def of_recipe(cls, recipe: PhantomRecipe) -> SectionTransform:
        """Build the transform that a recipe describes."""
        offset = recipe.offset
        angle = math.radians(offset.rotation_deg)
        linear = offset.scale * np.array(
            [
                [math.cos(angle), math.sin(angle)],
                [-math.sin(angle), math.cos(angle)],
            ]
        )
        middle = np.array([recipe.height_um / 2, recipe.width_um / 2])
        shift = middle + np.asarray(offset.shift_um) - linear @ middle
        affine = Affine.from_matrix(np.column_stack([linear, shift]))
        if offset.deformation_um == 0:
            return cls(affine, ())
        rng = np.random.default_rng([recipe.seed, 3])
        waves = []
        for _ in range(_WAVES):
            length_um = offset.deformation_wavelength_um * rng.uniform(0.7, 1.5)
            direction, push = rng.uniform(0, 2 * np.pi, 2)
            wave_number = 2 * np.pi / length_um
            amplitude = offset.deformation_um / math.sqrt(_WAVES)
            waves.append(
                (
                    float(wave_number * math.sin(direction)),
                    float(wave_number * math.cos(direction)),
                    float(rng.uniform(0, 2 * np.pi)),
                    float(amplitude * math.sin(push)),
                    float(amplitude * math.cos(push)),
                )
            )
        return cls(affine, tuple(waves))

    def ihc_to_he(self, points_um: ArrayLike) -> Floats:
        """Map points of the IHC section to the H&E section."""
        points = np.asarray(points_um, dtype=float)
        moved = self.he_to_ihc_um.inverse().apply(points)
        for ky, kx, phase, push_y, push_x in self.waves:
            wave = np.sin(ky * points[..., 0] + kx * points[..., 1] + phase)
            moved[..., 0] += push_y * wave
            moved[..., 1] += push_x * wave
        return moved

    def he_to_ihc(self, points_um: ArrayLike) -> Floats:
        """Map points of the H&E section to the IHC section.

        A fixed-point iteration; each step shrinks the error by the deformation's
        slope, which recipes keep well below one half.
        """
        points = np.asarray(points_um, dtype=float)
        guess = self.he_to_ihc_um.apply(points)
        linear = self.he_to_ihc_um.matrix[:2, :2]
        for _ in range(40):
            step = (points - self.ihc_to_he(guess)) @ linear.T
            guess += step
            if not step.size or np.abs(step).max() < 1e-9:
                break
        return guess
