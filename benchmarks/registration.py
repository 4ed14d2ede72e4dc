"""How well sections are registered, on real landmarks and on virtual pairs.

    python benchmarks/registration.py [OUT.json] [--data FOLDER] [--pairs N]
                                      [--rendered FOLDER] [--table CSV] [--only-data]

Real: six pairs of serial sections with landmarks, each as it is, turned by 180°, and
turned by 35° and scaled by .85; beside the identity and an affine registration by
mutual information as SimpleITK's examples have it. Virtual: pairs of every rotation,
up to 20 % larger or smaller, bent by 10 to 60 µm, with 30 % of the tissue gone, at
2 µm/px; then sections of different blocks, which must all be refused.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import SimpleITK as sitk
from rows import Rows, row_of
from serial_sections import TURNS, LandmarkPair, landmark_pairs

from napari_her2.core.geometry import BoxPx
from napari_her2.core.registration import (
    ErrorLimits,
    Light,
    Registration,
    RegistrationError,
)
from napari_her2.core.score import Stain
from napari_her2.phantom.deformation import SectionTransform
from napari_her2.phantom.missing_tissue import without_tissue
from napari_her2.phantom.parameters import PhantomRecipe
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.registration.files import RegistrationFile
from napari_her2.slides.registration.register import register_sections, register_slides
from napari_her2.slides.registration.section import Section, section_of
from napari_her2.slides.slide import open_slide

COMMAND = "python benchmarks/registration.py"
FIRST_SEED = 9000
VIRTUAL_MPP = 2.0
MISSING = 0.3
WITHIN_UM = 25.0
FAR_UM = 50.0
ABOUT_UM = 1.0
"""Errors below that count as equal: it is half a pixel."""
UNRELATED = 10
LARGE_PX, LARGE_MPP = (30_000, 40_000), 0.25

row = partial(row_of, COMMAND)


def register(he: Section, ihc: Section, *, scale_known: bool) -> Registration:
    """Register two sections to the end."""
    *_, last = register_sections(he, ihc, scale_known=scale_known)
    assert isinstance(last, Registration)
    return last


def ours(pair: LandmarkPair) -> Callable[[Any], Any]:
    """Return the map of pixels that is found here."""
    found = register(
        section_of(pair.he, 1.0), section_of(pair.ihc, 1.0), scale_known=False
    )
    return found.transform.apply


def plain_itk(pair: LandmarkPair) -> Callable[[Any], Any]:
    """Return that of an affine registration by mutual information of grey images."""
    fixed, moving = (
        sitk.GetImageFromArray(image.mean(-1).astype(np.float32))
        for image in (pair.he, pair.ihc)
    )
    start = sitk.CenteredTransformInitializer(
        fixed,
        moving,
        sitk.AffineTransform(2),
        sitk.CenteredTransformInitializerFilter.GEOMETRY,
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 200, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed, moving)

    def apply(points: Any) -> Any:
        return (
            np.array([found.TransformPoint((x, y))[::-1] for y, x in points - 0.5])
            + 0.5
        )

    return apply


def real(folder: Path, table: list[list[Any]]) -> Rows:
    """Register the pairs with landmarks."""
    errors: dict[str, list[float]] = {"identity": [], "SimpleITK": [], "ours": []}
    for pair in landmark_pairs(folder):
        for turn, (deg, scale) in TURNS.items():
            turned = pair.turned(deg, scale)
            for name, make in (
                ("identity", lambda _: lambda points: points),
                ("SimpleITK", plain_itk),
                ("ours", ours),
            ):
                away = make(turned)(turned.he_px) - turned.ihc_px
                share = np.linalg.norm(away, axis=1) / scale / pair.diagonal_px
                errors[name].append(100 * float(np.median(share)))
            shares = [f"{errors[name][-1]:.2f}" for name in errors]
            table.append(["landmarks", pair.name, turn, *shares])
            print(*table[-1], sep=", ", flush=True)
    label = "serial sections, median error of 18 cases"
    worst, middle = max(errors["ours"]), median(errors["ours"])
    rows = [
        row(f"{label}, largest", worst, "% of the diagonal", 1),
        row(f"{label}, middle", middle, "% of the diagonal", 0.7),
    ]
    for name, what in (
        ("identity", "not registered"),
        ("SimpleITK", "plain SimpleITK"),
    ):
        rows.append(
            row(f"{label}, middle, {what}", median(errors[name]), "% of the diagonal")
        )
    return rows


def virtual(count: int, rendered: Path, table: list[list[Any]]) -> Rows:
    """Register virtual pairs, then sections that do not belong together."""
    sections, good, predicted, green_but_failed, seconds = [], [], [], 0, []
    mapped: list[tuple[Any, Any]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        recipe = recipe_of(seed)
        he, ihc = (section_of(image, VIRTUAL_MPP) for image in images(recipe, rendered))
        sections.append((he, ihc))
        began = time.process_time()
        found = register(he, ihc, scale_known=True)
        seconds.append(time.process_time() - began)
        places, away = true_error_um(found, recipe, he, ihc)
        error = found.error
        assert error is not None
        mapped.append((mapped_um(error, places), away))
        light = error.light(ErrorLimits())
        middle = float(np.median(away))
        good.append(middle <= WITHIN_UM)
        green_but_failed += light is Light.GREEN and not good[-1]
        low, high = sorted((max(middle, ABOUT_UM), max(error.median_um, ABOUT_UM)))
        predicted.append(high <= 2 * low)
        lies = f"{recipe.offset.rotation_deg:.0f}°, x{recipe.offset.scale:.2f}"
        numbers = (middle, np.percentile(away, 90), error.median_um, error.p90_um)
        table.append(["virtual", seed, lies, *(f"{one:.1f}" for one in numbers), light])
        print(*table[-1], sep=", ", flush=True)
    refused = 0
    for number in range(UNRELATED):
        found = register(sections[number][0], sections[number + 1][1], scale_known=True)
        assert found.error is not None
        light = found.error.light(ErrorLimits())
        refused += light is Light.RED
        table.append(["unrelated", number, light])
        print(*table[-1], sep=", ", flush=True)
    share, told = 100 * np.mean(good), 100 * np.mean(predicted)
    name = f"{count} virtual pairs"
    by_map, away = (np.concatenate(one) for one in zip(*mapped, strict=True))
    green = by_map <= ErrorLimits().green_um
    off = away > FAR_UM
    return [
        row(f"{name}, median error within 25 µm", share, "%", at_least=98),
        row(
            f"{name}, error predicted within a factor of 2",
            told,
            "%",
            at_least=90,
        ),
        row(f"{name}, green but failed", green_but_failed, "", exactly=0),
        row(
            f"{UNRELATED} unrelated pairs, red",
            refused,
            "",
            exactly=UNRELATED,
        ),
        row(f"{name}, processor time each, median", median(seconds), "s"),
        row(f"{name}, tissue that the map checks", _percent(by_map >= 0), "%"),
        row(f"{name}, tissue that lies 50 µm off or more", _percent(off), "%"),
        row(f"{name}, the same where the map is green", _percent(off[green]), "%"),
        row(f"{name}, where it is not green", _percent(off[~green]), "%"),
    ]


def _percent(is_so: Any) -> float:
    return 100 * float(np.mean(is_so))


def large(rendered: Path) -> Rows:
    """Register two slides of 40,000 x 30,000 px, files read and all."""
    recipe = recipe_of(FIRST_SEED)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for stain, image in zip(Stain, images(recipe, rendered), strict=True):
            paths.append(Path(folder, f"{stain}.tif"))
            _write_enlarged(paths[-1], image)
        busy_s = _processor_s()
        with open_slide(paths[0]) as he, open_slide(paths[1]) as ihc:
            began = time.perf_counter()
            *_, last = register_slides(he, ihc)
            took_s = time.perf_counter() - began
        busy_s = _processor_s() - busy_s
    assert isinstance(last, RegistrationFile)
    assert last.registration.error is not None
    assert last.registration.error.light(ErrorLimits()) is not Light.RED
    name = "register slides of 40,000 x 30,000 px"
    return [
        row(name, took_s, "s", 60),
        row(f"{name}, processor time", busy_s, "s"),
    ]


def _processor_s() -> float:
    """Return the processor time of this process and of workers that ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in who]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _write_enlarged(path: Path, image: Any) -> None:
    """Write an image as a slide, every pixel as many as make 40,000 x 30,000."""
    height, width = image.shape[:2]

    def read(box: BoxPx) -> Any:
        y = np.arange(box.y0, box.y1) * height // LARGE_PX[0]
        x = np.arange(box.x0, box.x1) * width // LARGE_PX[1]
        return image[np.ix_(y, x)]

    write_pyramid(path, LARGE_PX, LARGE_MPP, read)


def recipe_of(seed: int) -> PhantomRecipe:
    """Return the recipe of a pair that lies anyhow."""
    rng = np.random.default_rng([seed, 77])
    recipe = draw_recipe(seed, mpp=VIRTUAL_MPP)
    offset = replace(
        recipe.offset,
        rotation_deg=float(rng.uniform(-180, 180)),
        scale=float(rng.uniform(0.8, 1.2)),
        deformation_um=float(rng.uniform(10, 60)),
        deformation_wavelength_um=float(rng.uniform(1000, 3000)),
        shift_um=tuple(rng.uniform(-0.05, 0.05, 2) * 1800),
    )
    return replace(recipe, offset=offset)


def images(recipe: PhantomRecipe, rendered: Path) -> list[Any]:
    """Return H&E and IHC, rendered at most once."""
    path = rendered / f"{recipe.seed}.npz"
    if not path.exists():
        pair = VirtualPair(recipe)
        he, ihc = (
            pair.render(one, BoxPx.of_shape(pair.shape_px(one))) for one in Stain
        )
        ihc = without_tissue(ihc, VIRTUAL_MPP, MISSING, recipe.seed)
        np.savez_compressed(path, he=he, ihc=ihc)
    with np.load(path) as both:
        return [both["he"], both["ihc"]]


def mapped_um(error: RegistrationError, places_um: Any) -> Any:
    """Return what the map says of places: µm, NaN where it does not know."""
    local = error.local
    assert local is not None
    known = {(cell.row, cell.col): cell.error_um for cell in local.cells}
    cells = np.floor((places_um - np.array(local.origin_um)) / local.cell_um)
    if not error.is_evident:
        return np.full(len(cells), np.inf)
    return np.array([known.get(tuple(cell)) for cell in cells.astype(int)], float)


def true_error_um(
    found: Registration, recipe: PhantomRecipe, he: Section, ihc: Section
) -> tuple[Any, Any]:
    """Return places (µm) of tissue that both sections have, and the error in them."""
    places = (np.argwhere(he.tissue)[::97] + 0.5) * VIRTUAL_MPP
    there = SectionTransform.of_recipe(recipe).he_to_ihc(places)
    at = np.floor(there / VIRTUAL_MPP).astype(int)
    inside = ((at >= 0) & (at < ihc.shape)).all(1)
    inside[inside] = ihc.tissue[tuple(at[inside].T)]
    away = found.transform.apply(places[inside]) - there[inside]
    return places[inside], np.linalg.norm(away, axis=1) / recipe.offset.scale


def main() -> None:
    """Measure, print, and write the rows where a file is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, help="serial_section_landmarks")
    parser.add_argument("--only-data", action="store_true", help="no virtual pairs")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rendered", type=Path, help="keeps rendered virtual pairs")
    parser.add_argument("--table", type=Path, help="one row per registration")
    arguments = parser.parse_args()
    table: list[list[Any]] = []
    rows = real(arguments.data, table) if arguments.data else []
    with tempfile.TemporaryDirectory() as folder:
        rendered = arguments.rendered or Path(folder)
        if not arguments.only_data:
            rows += virtual(arguments.pairs, rendered, table)
            rows += large(rendered)
    if arguments.table:
        with arguments.table.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows(table)
    for each in rows:
        print(f"{each['name']}: {each['value']:.3g} {each['unit']}")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
