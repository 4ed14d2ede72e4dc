"""A cytoplasmic stain is named, HER2 never: drawn, on virtual tissue, on real cores."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.data import immunohistochemistry
from skimage.io import imread, imsave

from napari_her2.cells.cytoplasmic_marker import (
    DOUBT_CELLS,
    BrownCells,
    brown_cells,
    cytoplasmic_doubt,
    why_cytoplasmic,
)
from napari_her2.cells.dyes import DyeMaps
from napari_her2.cells.nuclei import find_nuclei, measure_scale
from napari_her2.cells.outline import grow_cells
from napari_her2.cells.score_file import ScoreAsked, score_file
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.stain.density import optical_density, white_of
from napari_her2.stain.vectors import DAB, fit_vectors, unmix

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
CORES = Path(os.environ.get("NAPARI_HER2_DATA", BESIDE)) / "her2_ihc_tma_esophagus"
MPP = 0.5
PLACE = np.s_[1600:2400, 2900:3700]
BROWN = np.array(DAB) / np.linalg.norm(DAB)


def dyes_of(image):
    density = optical_density(image, white_of(image))
    vectors = fit_vectors(density[::3, ::3].reshape(-1, 3), Stain.IHC)
    return DyeMaps(vectors, density, *unmix(density, vectors))


def seen_in(image):
    """Return what is brown in all of a field at 0.5 µm/px."""
    return brown_cells([dyes_of(image)], MPP)


def as_cytoplasmic(image, od, seed=0):
    """Add grained DAB to the cytoplasm of nine cells in ten."""
    rng = np.random.default_rng(seed)
    seen = dyes_of(image)
    blue = seen.haematoxylin - 0.7 * np.maximum(seen.dab, 0)
    nuclei = find_nuclei(blue, MPP, measure_scale([blue], MPP))
    cells = grow_cells(nuclei, np.maximum(seen.dab, 0), MPP)
    n = int(nuclei.max())
    amount = od * rng.lognormal(0, 0.25, n + 1) * (rng.random(n + 1) < 0.9)
    amount[0] = 0
    grain = ndimage.gaussian_filter(rng.normal(size=cells.shape), 1.5)
    added = np.where(nuclei > 0, 0.15, 1) * amount[cells]
    added *= np.clip(1 + 0.15 * grain / grain.std(), 0.2, 2)
    added = ndimage.gaussian_filter(added, 0.7)
    light = white_of(image) * 10 ** -(seen.density + added[..., None] * BROWN)
    return np.clip(light, 0, 255).round().astype(np.uint8)


def virtual(stratum, seed=9101, blush_od=None):
    recipe = draw_recipe(seed, stratum=stratum, width_um=300.0, height_um=260.0)
    if blush_od is not None:
        recipe = replace(recipe, membranes=replace(recipe.membranes, blush_od=blush_od))
    pair = VirtualPair(recipe)
    return pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))


def drawn(kind):
    """Draw 49 cells, brown in the cytoplasm or at the membrane."""
    y, x = np.indices((400, 400)) * MPP
    blue, brown = np.zeros(y.shape, np.float32), np.zeros(y.shape, np.float32)
    for number in range(49):
        row, col = divmod(number, 7)
        away = np.hypot(y - 14 - 28 * row, x - 14 - 28 * col)
        blue += 0.5 * (away < 4)
        if kind == "cytoplasm":
            brown += 0.6 * ((away >= 4) & (away < 9))
        else:
            brown += 1.4 * (abs(away - 6) < 0.8) + 0.1 * ((away >= 4) & (away < 6))
    blue, brown = (ndimage.gaussian_filter(one, 0.8) for one in (blue, brown))
    density = blue[..., None] * [0.65, 0.70, 0.29] + brown[..., None] * BROWN
    return np.clip(240 * 10**-density, 0, 255).round().astype(np.uint8)


def test_drawn_cytoplasm_is_flat_and_drawn_membranes_are_not():
    cytoplasmic, membranous = map(seen_in, (drawn("cytoplasm"), drawn("membrane")))
    assert cytoplasmic.n >= 20
    assert cytoplasmic.share > 0.9
    assert cytoplasmic.nuclei < 0.2
    assert membranous.n >= 20
    assert membranous.share < 0.1


@pytest.mark.parametrize(
    ("seen", "is_refused", "is_doubted"),
    [
        (BrownCells(), False, False),
        (BrownCells(400, 100, 0.1), False, False),
        (BrownCells(19, 19, 0.1), False, False),
        (BrownCells(39, 39, 0.1), False, True),
        (BrownCells(400, 160, 0.1), False, True),
        (BrownCells(400, 380, 0.4), False, True),
        (BrownCells(400, 210, 0.1), True, True),
    ],
)
def test_what_could_be_blur_is_a_doubt_and_few_cells_are_nothing(
    seen, is_refused, is_doubted
):
    assert ("cytoplasmic staining" in why_cytoplasmic(seen)) is is_refused
    assert ("no membrane stands out" in cytoplasmic_doubt(seen)) is is_doubted


def test_without_brown_nothing_is_measured():
    assert seen_in(virtual(Score.ZERO)).n == 0


@pytest.mark.parametrize("stratum", [Score.TWO, Score.THREE])
def test_virtual_her2_with_brown_cytoplasm_is_not_refused_nor_doubted(stratum):
    image = virtual(stratum, blush_od=0.4)
    sharp = seen_in(image)
    assert sharp.n >= DOUBT_CELLS
    assert not why_cytoplasmic(sharp)
    assert not cytoplasmic_doubt(sharp)
    assert not why_cytoplasmic(seen_in(ndimage.gaussian_filter(image, (2.4, 2.4, 0))))


def test_a_cytoplasmic_stain_has_no_score_unless_it_is_forced(tmp_path):
    path = tmp_path / "a.png"
    image = as_cytoplasmic(virtual(Score.ZERO, seed=9103), 0.6)
    imsave(path, image, check_contrast=False)
    found = score_file(ScoreAsked(path, MPP))
    assert isinstance(found.call, NotAssessable)
    assert found.reason.startswith("stain not as declared: cytoplasmic staining")
    forced = score_file(ScoreAsked(path, MPP, force=True, least_cells=1))
    assert "cytoplasmic staining" not in forced.reason


def test_a_real_stain_of_cytoplasm_and_nuclei_is_scored_with_a_doubt(tmp_path):
    path = tmp_path / "fhl2.png"
    imsave(path, immunohistochemistry(), check_contrast=False)
    found = score_file(ScoreAsked(path, MPP))
    assert "strongly brown cells no membrane stands out" in found.reason
    assert found.cells is not None


@pytest.mark.skipif(not CORES.exists(), reason="no real cores")
@pytest.mark.parametrize("score", "012")
def test_real_her2_is_not_refused_and_with_brown_cytoplasm_it_is(score):
    (path,) = CORES.glob(f"example_images/{score}_*.jpg")
    field = imread(path)[PLACE]
    half = field.reshape(400, 2, 400, 2, 3).mean((1, 3)).round().astype(np.uint8)
    assert not cytoplasmic_doubt(seen_in(half))
    if score == "2":
        assert not why_cytoplasmic(seen_in(ndimage.gaussian_filter(half, (2, 2, 0))))
    else:
        assert why_cytoplasmic(seen_in(as_cytoplasmic(half, 0.6)))
