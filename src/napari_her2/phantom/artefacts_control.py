"""Control tissue beside the patient's: three cores that read 0, 1+ and 3+."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_her2.core.geometry import BoxPx
from napari_her2.core.membrane import MembraneShares
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.artefacts import Field, Spoiled, white_of
from napari_her2.phantom.parameters import Staining
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair

_SHARES = {
    Score.ZERO: MembraneShares(0, 0, 0, 0),
    Score.ONE: MembraneShares(0, 0, 0.1, 0.8),
    Score.THREE: MembraneShares(0.95, 0.05, 0, 0),
}


@dataclass(frozen=True, slots=True)
class ControlCores:
    """A row of cores cut from tumours of known score, laid on glass.

    Parameters
    ----------
    centre_um
        (y, x) of the middle core.
    diameter_um
        Of a core, usually 1,000 to 2,000.
    scores
        From left to right; only 0, 1+ and 3+ can be had. A control that failed
        is one with other scores than these three.
    seed
        Of the tissue.
    staining
        Of the slide they lie on; None draws another.
    """

    centre_um: tuple[float, float]
    diameter_um: float = 1000.0
    scores: tuple[Score, ...] = (Score.ZERO, Score.ONE, Score.THREE)
    seed: int = 0
    staining: Staining | None = None

    def lay_over(self, field: Field) -> Spoiled:
        """Return the field with the cores on it, and the mask of the cores."""
        image = field.image.copy()
        mask = np.zeros(image.shape[:2], bool)
        white = white_of(field.image)
        middle = (len(self.scores) - 1) / 2
        for index, score in enumerate(self.scores):
            core = self._core(score, index, field)
            glass = white_of(core)
            side = core.shape[0]
            y0 = round(self.centre_um[0] / field.mpp) - side // 2
            off_um = (index - middle) * 1.5 * self.diameter_um
            x0 = round((self.centre_um[1] + off_um) / field.mpp) - side // 2
            from_middle = np.arange(side) - (side - 1) / 2
            disc = np.hypot(from_middle[:, None], from_middle) <= side / 2
            place = np.s_[max(y0, 0) : y0 + side, max(x0, 0) : x0 + side]
            target = image[place]
            cut = np.s_[
                max(-y0, 0) : max(-y0, 0) + target.shape[0],
                max(-x0, 0) : max(-x0, 0) + target.shape[1],
            ]
            lit = np.clip(core.astype(np.float32) / glass * white + 0.5, 0, 255)
            target[disc[cut]] = lit.astype(np.uint8)[cut][disc[cut]]
            mask[place] |= disc[cut]
        return Spoiled(Field(image, field.mpp, field.stain), mask)

    def _core(self, score: Score, index: int, field: Field) -> NDArray[np.uint8]:
        """Cut a square of tumour with a score out of a larger virtual slide."""
        side_um = 2.0 * self.diameter_um
        recipe = draw_recipe(
            9000 + 10 * self.seed, width_um=side_um, height_um=side_um, mpp=field.mpp
        )
        recipe = replace(
            recipe,
            seed=recipe.seed + index,
            ihc=self.staining or recipe.ihc,
            membranes=replace(
                recipe.membranes,
                shares=_SHARES[score],
                clustering=0.1,
                overlap=0.05,
                blush_od=0.01,
                in_situ_gain=0.0,
            ),
            architecture=replace(
                recipe.architecture,
                bed_share=0.98,
                nest_share=0.8,
                fat_share=0.02,
                in_situ_share=0.0,
                normal_duct_share=0.0,
                lobule_share=0.0,
            ),
        )
        pair = VirtualPair(recipe)
        height, width = pair.shape_px(Stain.IHC)
        half = round(self.diameter_um / 2 / field.mpp)
        box = BoxPx(
            height // 2 - half, width // 2 - half, height // 2 + half, width // 2 + half
        )
        return pair.render(field.stain, box)
