"""Whether thresholds set by a 3+ control bring scores and shares nearer the truth.

Virtual slides of seeds that no threshold was set on, stained paler and darker than
usual, each beside a virtual 3+ control stained alike. In-situ ducts are left out by
their true outlines.

    python benchmarks/cell_controls.py [--slides N]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from skimage import io

from cells import _in_situ, _places
from napari_her2.cells.calibration import Calibration, calibrate
from napari_her2.cells.call import call_cells
from napari_her2.cells.reading import MPP, look_at, propose_tumour, read_cells
from napari_her2.core.errors import Her2Error
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import GuidelineLimits
from napari_her2.core.membrane import MembranePattern, MembraneShares
from napari_her2.core.records import ControlMark
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.slides.slide import open_slide

FIRST_SEED = 9501
STRENGTHS = (0.65, 1.5)
SIZE_UM = (420.0, 380.0)
LIMITS = GuidelineLimits(least_cells=25)
CONTROL_UM = 300.0
INTENSE = MembranePattern.COMPLETE_INTENSE


def measure(count: int) -> None:
    """Score each slide with and without its control, and print both."""
    strata: tuple[list[int], list[int]] = ([], [])
    errors: tuple[list[float], list[float]] = ([], [])
    refused = 0
    for number in range(count):
        stratum = list(Score)[number % 5]
        for strength in STRENGTHS:
            pair = _pair(FIRST_SEED + number, stratum, strength)
            try:
                calibration = _calibration(pair, FIRST_SEED + 5000 + number)
            except Her2Error as error:
                refused += 1
                print(number, stratum, strength, error.problem, flush=True)
                continue
            truth = pair.tile_truth(
                Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC))
            )[1]
            readings = [
                call_cells(_cells(pair, each), MPP, limits=LIMITS).reading
                for each in (Calibration(), calibration)
            ]
            print(number, stratum, strength, round(calibration.factor, 2), end=" ")
            print([str(each.call) for each in readings], flush=True)
            if any(isinstance(each.call, NotAssessable) for each in readings):
                continue
            for which, each in enumerate(readings):
                strata[which].append(abs(each.call.rank - stratum.rank))
                seen = each.shares[INTENSE].value
                errors[which].append(abs(seen - truth.complete_intense))
    for name, off, wrong in zip(("without", "with"), strata, errors, strict=True):
        print(
            f"{name} control: exact {np.mean(np.array(off) == 0):.0%} of {len(off)}, "
            f"strata off {np.mean(off):.2f}, error of the share of complete intense "
            f"cells {100 * np.mean(wrong):.1f} points"
        )
    print(f"controls refused: {refused}")


def _pair(seed: int, stratum: Score, strength: float) -> VirtualPair:
    recipe = draw_recipe(
        seed, stratum=stratum, width_um=SIZE_UM[0], height_um=SIZE_UM[1]
    )
    return VirtualPair(replace(recipe, ihc=replace(recipe.ihc, second_od=strength)))


def _calibration(pair: VirtualPair, seed: int) -> Calibration:
    recipe = draw_recipe(seed, width_um=CONTROL_UM, height_um=CONTROL_UM)
    membranes = replace(recipe.membranes, shares=MembraneShares(0.9, 0.1, 0.0, 0.0))
    # of tumour throughout, as a control is
    architecture = replace(
        recipe.architecture, bed_share=0.98, nest_share=0.8, fat_share=0.02
    )
    control = VirtualPair(
        replace(
            recipe,
            membranes=membranes,
            architecture=architecture,
            ihc=pair.recipe.ihc,
        )
    )
    box = BoxPx.of_shape(control.shape_px(Stain.IHC))
    with _opened(control) as slide:
        mark = ControlMark(Score.THREE, box)
        return calibrate(slide, look_at(slide, Stain.IHC), (mark,))


def _cells(pair: VirtualPair, calibration: Calibration) -> pa.Table:
    with _opened(pair) as slide:
        look = look_at(slide, Stain.IHC)
        steps = read_cells(slide, look, limits=calibration.limits)
        found = pa.concat_tables([step.cells for step in steps]).combine_chunks()
    found = propose_tumour(found, MPP)
    return found.filter(pa.array(~_in_situ(pair, _places(found))))


def _opened(pair: VirtualPair) -> Any:
    image = pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        io.imsave(path, image, check_contrast=False)
        return open_slide(path, in_process=True).with_mpp(MPP)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=20)
    measure(parser.parse_args().slides)


if __name__ == "__main__":
    main()
