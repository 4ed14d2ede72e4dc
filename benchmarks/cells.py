"""How well cells of IHC are found and read, how steady the score is, and how fast.

Virtual: slides of seeds that no threshold was set on, all strata alike, three
staining strengths, read as files; in-situ ducts are left out by their true outlines,
as a reader leaves them out. Beside it a detector by Laplacian of Gaussian, and a
score by the area of DAB. Real: fields of the cores in the folder given, or under
NAPARI_HER2_DATA, each changed in colour, sharpness and scale.

    python benchmarks/cells.py [ROWS.json] [--slides N] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rows import Rows, row_of
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage import color, io
from skimage.draw import polygon2mask
from skimage.feature import peak_local_max

from napari_her2.cells.call import call_cells
from napari_her2.cells.reading import MPP
from napari_her2.cells.score_file import ScoreAsked, cells_of, score_file
from napari_her2.core.geometry import BoxPx
from napari_her2.core.guideline import CUTOFF, GuidelineLimits
from napari_her2.core.membrane import MembranePattern
from napari_her2.core.proportion import wilson
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.evaluation.dab import dab_density
from napari_her2.phantom.ground import NucleusKind
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.truth import cells as true_cells
from napari_her2.phantom.truth import regions
from napari_her2.slides.slide import open_slide

row = partial(row_of, "python benchmarks/cells.py --data DATA")
FIRST_SEED = 7001
SIZE_UM = (800.0, 700.0)
STRENGTHS = (0.8, 1.0, 1.25)
NEAR_UM = 3.0
FIELD_PX = 1400
DATA_MPP = 0.25
"""Taken for the cores, whose files do not say."""

KINDS = {
    "invasive": NucleusKind.INVASIVE,
    "in situ": NucleusKind.IN_SITU,
    "lymphocyte": NucleusKind.LYMPHOCYTE,
}
UNLISTED = (NucleusKind.FIBROBLAST, NucleusKind.LUMINAL, NucleusKind.BASAL)

LADDER = list(Score)
LIMITS = GuidelineLimits()


def virtual(count: int) -> Rows:
    """Read virtual slides and compare with their truth."""
    hits = {name: np.zeros(3) for name in ("ours", "LoG", "H&E", "H&E, LoG")}
    confusion = np.zeros((5, 5), int)
    off: dict[str, list[int]] = {"drawn": [], "proposed": [], "DAB area": []}
    wrong_intense, seconds, area_mm2 = [], 0.0, 0.0
    unassessed = 0
    ultralow: list[tuple[bool, bool]] = []
    for number in range(count):
        pair, stratum = _pair(FIRST_SEED + number, number)
        image = pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))
        truth = true_cells(pair, Stain.IHC)
        began = time.process_time()
        found = _read(image)
        seconds += time.process_time() - began
        area_mm2 += image.shape[0] * image.shape[1] * MPP**2 / 1e6
        places = _places(found)
        pairs = _count(hits["ours"], places, pair, Stain.IHC, truth)
        _count(hits["LoG"], _blobs(image), pair, Stain.IHC, truth)
        _count_he(hits, pair)
        kind = np.array(truth["type"].to_pylist())
        pattern = np.array(
            [MembranePattern[name.upper()] for name in truth["pattern"].to_pylist()]
        )
        mine = kind[pairs[:, 1]] == "invasive"
        read = found["pattern"].to_numpy()[pairs[:, 0]][mine]
        np.add.at(confusion, (pattern[pairs[:, 1]][mine], read), 1)
        drawn = found.filter(pa.array(~_in_situ(pair, places)))
        for name, cells in (("drawn", drawn), ("proposed", found)):
            call = call_cells(cells, MPP, limits=LIMITS).reading
            if isinstance(call.call, NotAssessable):
                unassessed += name == "drawn"
                continue
            off[name].append(call.call.rank - stratum.rank)
            if name == "drawn":
                invasive = pattern[kind == "invasive"]
                true = np.mean(invasive == MembranePattern.COMPLETE_INTENSE)
                if _is_clear(invasive):
                    scores = stratum, call.call
                    ultralow.append(tuple(one is Score.ULTRALOW for one in scores))
                seen = call.shares[MembranePattern.COMPLETE_INTENSE].value
                wrong_intense.append(100 * abs(seen - true))
        off["DAB area"].append(_by_area(image).rank - stratum.rank)
        print(number, stratum, {name: each[-1:] for name, each in off.items()})
    f1 = {name: 2 * n[0] / (2 * n[0] + n[1] + n[2]) for name, n in hits.items()}
    both = confusion.sum(0) + confusion.sum(1)
    classes = 2 * np.diag(confusion) / np.maximum(both, 1)
    print(confusion, classes.round(3))
    what = f"{count} virtual slides"
    exact = {n: 100 * np.mean(np.array(each) == 0) for n, each in off.items()}
    far = {n: 100 * np.mean(np.abs(each) > 1) for n, each in off.items()}
    return [
        *_ultralow_rows(what, ultralow),
        row(f"cells of {what}: F1 within 3 µm", f1["ours"], "", at_least=0.95),
        row(f"cells of {what}: F1, LoG detector", f1["LoG"], ""),
        row(f"cells of {what}, H&E: F1 within 3 µm", f1["H&E"], "", at_least=0.95),
        row(f"cells of {what}, H&E: F1, LoG detector", f1["H&E, LoG"], ""),
        row(f"membranes of {what}: macro-F1", classes.mean(), "", at_least=0.9),
        row(
            f"{what}: share of complete intense cells, error (p95)",
            np.percentile(wrong_intense, 95),
            "points",
            2,
        ),
        row(f"{what}: exact score", exact["drawn"], "%", at_least=95),
        row(f"{what}: off by two strata or more", far["drawn"], "%", 0),
        row(f"{what}: not assessable", unassessed, "slides"),
        row(
            f"{what}: exact score, ducts not left out",
            exact["proposed"],
            "%",
        ),
        row(f"{what}: exact score, area of DAB", exact["DAB area"], "%"),
        row("reading cells, processor time", seconds / area_mm2, "s/mm²", 30),
    ]


def _is_clear(patterns: Any) -> bool:
    """Whether the share of stained cells is not within the interval of a cut-off."""
    stained, n = np.count_nonzero(patterns), len(patterns)
    if wilson(stained, n).covers(CUTOFF):
        return False
    return stained == 0 or stained > n * wilson(0, n).high


def _ultralow_rows(what: str, calls: list[tuple[bool, bool]]) -> Rows:
    """Say how well 0+ is told from the rest, on slides of which that can be asked."""
    true, said = np.array(calls, bool).reshape(-1, 2).T
    both = np.count_nonzero(true & said)
    name = f"0+ among {len(true)} clear cases of {what}"
    return [
        row(f"{name}: precision", 100 * both / max(said.sum(), 1), "%", at_least=95),
        row(f"{name}: recall", 100 * both / max(true.sum(), 1), "%", at_least=95),
    ]


def steadiness(data: Path) -> Rows:
    """Change real fields as other laboratories and scanners would."""
    same, total, gross = 0, 0, 0
    for path in sorted(data.glob("**/example_images/*.jpg")):
        image = io.imread(path)
        for y0, x0 in ((900, 1200), (1900, 900), (2600, 2400), (1400, 2800)):
            field = image[y0 : y0 + FIELD_PX, x0 : x0 + FIELD_PX]
            plain = _score(field, DATA_MPP)
            if isinstance(plain, NotAssessable):
                continue
            for name, (changed, mpp) in _changes(field).items():
                call = _score(changed, mpp)
                total += 1
                same += call == plain
                far = isinstance(call, NotAssessable) or abs(call.rank - plain.rank) > 1
                gross += far
                if call != plain:
                    print(path.name[:4], y0, x0, plain, name, call, flush=True)
    return [
        row("real fields changed: same score", 100 * same / total, "%", at_least=95),
        row("real fields changed: two strata off or none", gross, "", 0),
        row("real fields changed: how many", total, ""),
    ]


def _pair(seed: int, number: int) -> tuple[VirtualPair, Score]:
    stratum = LADDER[number % 5]
    recipe = draw_recipe(
        seed, stratum=stratum, width_um=SIZE_UM[0], height_um=SIZE_UM[1]
    )
    strength = STRENGTHS[number // 5 % 3]
    ihc = replace(recipe.ihc, second_od=recipe.ihc.second_od * strength)
    return VirtualPair(replace(recipe, ihc=ihc)), stratum


def _read(image: Any, stain: Stain = Stain.IHC) -> pa.Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.png"
        io.imsave(path, image, check_contrast=False)
        with open_slide(path) as slide:
            return cells_of(slide.with_mpp(MPP), stain=stain)


def _score(image: Any, mpp: float) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ihc.png"
        io.imsave(path, image, check_contrast=False)
        return score_file(ScoreAsked(path, mpp)).call


def _places(found: pa.Table) -> Any:
    return np.stack([found["y_px"].to_numpy(), found["x_px"].to_numpy()], -1) * MPP


def _count_he(hits: dict[str, Any], pair: VirtualPair) -> None:
    image = pair.render(Stain.HE, BoxPx.of_shape(pair.shape_px(Stain.HE)))
    truth = true_cells(pair, Stain.HE)
    found = _places(_read(image, Stain.HE))
    _count(hits["H&E"], found, pair, Stain.HE, truth)
    _count(hits["H&E, LoG"], _blobs(image), pair, Stain.HE, truth)


def _count(
    hits: Any, places: Any, pair: VirtualPair, stain: Stain, truth: pa.Table
) -> Any:
    """Add hits, false and missed cells; return the pairs (found, true).

    A cell whose nucleus does not show cannot be missed; a detection on the nucleus
    of a cell that the truth does not list (fibroblasts, normal ducts) is not false.
    """
    true = np.stack([truth["nucleus_y_um"], truth["nucleus_x_um"]], -1)
    kind = np.array([KINDS[name] for name in truth["type"].to_pylist()])
    pairs = _matched(places, true)
    limit = np.array([pair.recipe.height_um, pair.recipe.width_um])
    inner = [((p > 6) & (p < limit - 6)).all(1) for p in (places, true)]
    false = inner[0] & ~np.isin(_shown(pair, stain, places), UNLISTED).any(0)
    false[pairs[:, 0]] = False
    missed = inner[1] & (_shown(pair, stain, true) == kind).any(0)
    hits += (
        np.count_nonzero(missed[pairs[:, 1]]),
        np.count_nonzero(false),
        np.count_nonzero(missed) - np.count_nonzero(missed[pairs[:, 1]]),
    )
    return pairs


def _shown(pair: VirtualPair, stain: Stain, places: Any) -> Any:
    """Whose nuclei show at places (n, 2) in µm and 1 µm beside them, (5, n)."""
    beside = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], float)
    return np.stack([pair.nuclei_at(stain, places + move) for move in beside])


def _matched(found: Any, true: Any) -> Any:
    """Pair cells one to one, the nearest first."""
    away, index = cKDTree(true).query(found, k=4, distance_upper_bound=NEAR_UM)
    a, k = np.nonzero(np.isfinite(away))
    order = np.argsort(away[a, k])
    taken: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for one, other in zip(a[order], index[a, k][order], strict=True):
        if one not in taken[0] and other not in taken[1]:
            taken[0].add(one), taken[1].add(other)
            pairs.append((one, other))
    return np.array(pairs, int).reshape(-1, 2)


def _blobs(image: Any) -> Any:
    blue = np.clip(color.rgb2hed(image)[..., 0], 0, None)
    blob = -ndimage.gaussian_laplace(blue, 2.5 / MPP)
    least = 0.15 * np.quantile(blob, 0.99)
    return (peak_local_max(blob, min_distance=4, threshold_abs=least) + 0.5) * MPP


def _by_area(image: Any) -> Score:
    """Score by the share of tissue that is brown, a plain rule to beat."""
    tissue = image.min(-1) < 215
    density = dab_density(image)[tissue]
    share = [(density > cut).mean() for cut in (0.15, 0.3, 0.5)]
    if share[2] > 0.05:
        return Score.THREE
    if share[1] > 0.05:
        return Score.TWO
    if share[0] > 0.05:
        return Score.ONE
    return Score.ULTRALOW if share[0] > 0.005 else Score.ZERO


def _in_situ(pair: VirtualPair, places_um: Any) -> Any:
    """Tell which places lie in in-situ ducts, by their true outlines."""
    height, width = (math.ceil(side * MPP) for side in pair.shape_px(Stain.IHC))
    inside = np.zeros((height, width), bool)
    for region in regions(pair):
        if region["kind"] == "in situ":
            inside |= polygon2mask(inside.shape, np.array(region["ihc_um"]))
    y, x = places_um.astype(int).T
    return inside[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]


def _changes(image: Any) -> dict[str, tuple[Any, float]]:
    density = -np.log10(np.maximum(image, 1) / 255)
    turned = {}
    for name, gain in (("blue", (0.94, 1.0, 1.06)), ("red", (1.06, 1.0, 0.94))):
        turned[f"hue {name}"] = _light(density * np.array(gain))
    half = ndimage.zoom(image, (0.5, 0.5, 1), order=1)
    third = ndimage.zoom(image, (0.7, 0.7, 1), order=1)
    return {
        "20 % stronger": (_light(density * 1.2), DATA_MPP),
        "20 % weaker": (_light(density * 0.8), DATA_MPP),
        **{name: (changed, DATA_MPP) for name, changed in turned.items()},
        "JPEG 60": (_jpeg(image), DATA_MPP),
        "0.5 µm/px": (half, 2 * DATA_MPP),
        "0.36 µm/px": (third, DATA_MPP / 0.7),
        "blur": (ndimage.gaussian_filter(image, (1.4, 1.4, 0)), DATA_MPP),
    }


def _light(density: Any) -> Any:
    return np.clip(255 * 10**-density, 0, 255).round().astype(np.uint8)


def _jpeg(image: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jpg"
        io.imsave(path, image, quality=60, check_contrast=False)
        return io.imread(path)


def main() -> None:
    """Measure, print the rows, and write them to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--slides", type=int, default=60)
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_HER2_DATA"))
    arguments = parser.parse_args()
    rows = virtual(arguments.slides) if arguments.slides else []
    if arguments.data:
        rows += steadiness(Path(arguments.data))
    print(json.dumps(rows, indent=2, default=float))
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, default=float))


if __name__ == "__main__":
    main()
