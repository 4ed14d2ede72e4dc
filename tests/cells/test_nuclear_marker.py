"""A nuclear stain is named, HER2 never: drawn, on virtual tissue and on real cores."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.io import imread, imsave

from napari_her2.cells.dyes import DyeMaps, why_not_dyes
from napari_her2.cells.nuclear_marker import brown_bodies, why_nuclear
from napari_her2.cells.nuclei import find_nuclei, measure_scale
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
FIELDS = ((300, 1600), (1600, 2900), (2900, 1600))


def dyes_of(image):
    density = optical_density(image, white_of(image))
    vectors = fit_vectors(density[::3, ::3].reshape(-1, 3), Stain.IHC)
    return DyeMaps(vectors, density, *unmix(density, vectors))


def why(image):
    """Say why an image at 0.5 µm/px is refused for its staining."""
    seen = dyes_of(image)
    tissue_mm2 = np.count_nonzero(seen.tissue) * (MPP / 1000) ** 2
    return why_not_dyes([seen]) or why_nuclear(
        [brown_bodies(seen.dab, MPP)], tissue_mm2
    )


def as_nuclear(image, share, od, seed=0):
    """Add DAB to a share of the nuclei of an image, as an antibody to them does."""
    rng = np.random.default_rng(seed)
    seen = dyes_of(image)
    density, blue, brown = seen.density, seen.haematoxylin, seen.dab
    blue_alone = blue - 0.7 * np.maximum(brown, 0)
    nuclei = find_nuclei(blue_alone, MPP, measure_scale([blue_alone], MPP))
    n = int(nuclei.max())
    amount = od * rng.lognormal(0, 0.4, n + 1) * (rng.random(n + 1) < share)
    amount[0] = 0
    chromatin = blue / np.maximum(ndimage.gaussian_filter(blue, 6), 0.05)
    added = ndimage.gaussian_filter(amount[nuclei], 0.7)
    added *= 0.6 + 0.4 * np.clip(chromatin, 0.5, 1.5)
    vector = np.array(DAB) / np.linalg.norm(DAB)
    light = white_of(image) * 10 ** -(density + added[..., None] * vector)
    return np.clip(light, 0, 255).round().astype(np.uint8)


def stronger(image, times):
    seen = dyes_of(image)
    more = (times - 1) * np.maximum(seen.dab, 0)[..., None] * np.array(DAB)
    light = white_of(image) * 10 ** -(seen.density + more)
    return np.clip(light, 0, 255).round().astype(np.uint8)


def virtual(stratum, seed=9101, **staining):
    recipe = draw_recipe(seed, stratum=stratum, width_um=330.0, height_um=300.0)
    pair = VirtualPair(replace(recipe, ihc=replace(recipe.ihc, **staining)))
    return pair.render(Stain.IHC, BoxPx.of_shape(pair.shape_px(Stain.IHC)))


def bodies(kind):
    """Draw the DAB of forty nuclei, or of forty cells with a stained membrane."""
    y, x = np.indices((400, 400)) * MPP
    dab = np.zeros(y.shape, np.float32)
    for top in range(5):
        for left in range(8):
            away = np.hypot(y - 20 - 36 * top, x - 15 - 24 * left)
            if kind == "nuclei":
                dab += 0.5 * (away < 4)
            else:
                dab += 0.8 * np.exp(-(((away - 6) / 0.7) ** 2)) + 0.1 * (away < 6)
    return ndimage.gaussian_filter(dab, 0.8)


def test_drawn_nuclei_are_solid_and_drawn_membranes_are_not():
    nuclear, membranous = (
        brown_bodies(bodies(kind), MPP) for kind in ("nuclei", "membranes")
    )
    assert nuclear.n == 40
    assert nuclear.share > 0.9
    assert membranous.n == 0


def test_few_bodies_are_no_nuclear_stain():
    seen = brown_bodies(bodies("nuclei"), MPP)
    assert "nuclear staining" in why_nuclear([seen], 0.04)
    assert "HER2 stains membranes" in why_nuclear([seen], 0.04)
    assert not why_nuclear([seen], 1.0)
    assert not why_nuclear([], 0.0)


def test_no_brown_is_no_nuclear_stain():
    assert brown_bodies(np.zeros((64, 64), np.float32), MPP).share == 0


@pytest.fixture(scope="module")
def unstained():
    return virtual(Score.ZERO)


@pytest.mark.parametrize(("share", "od"), [(0.4, 0.3), (0.4, 0.8), (0.9, 0.8)])
def test_virtual_nuclear_stain_is_named(unstained, share, od):
    assert "nuclear staining" in why(as_nuclear(unstained, share, od))


@pytest.mark.parametrize("stratum", [Score.ONE, Score.TWO, Score.THREE])
def test_virtual_her2_is_not_refused(stratum):
    image = virtual(stratum, second_od=1.3)
    assert not why(image)
    assert not why(ndimage.gaussian_filter(image, (2.4, 2.4, 0)))


def test_no_staining_is_not_refused(unstained):
    assert not why(unstained)


def test_a_nuclear_stain_has_no_score_unless_it_is_forced(unstained, tmp_path):
    path = tmp_path / "a.png"
    imsave(path, as_nuclear(unstained, 0.5, 0.6), check_contrast=False)
    found = score_file(ScoreAsked(path, MPP))
    assert isinstance(found.call, NotAssessable)
    assert found.reason.startswith("stain not as declared: nuclear staining")
    forced = score_file(ScoreAsked(path, MPP, force=True, least_cells=1))
    assert "nuclear staining" not in forced.reason


def real_fields():
    for path in sorted(CORES.glob("example_images/*.jpg")):
        for y0, x0 in FIELDS:
            yield pytest.param(path, y0, x0, id=f"{path.name[0]}-{y0}-{x0}")


@pytest.mark.skipif(not CORES.exists(), reason="no real cores")
@pytest.mark.parametrize(("path", "y0", "x0"), list(real_fields()))
def test_real_her2_is_not_refused_and_with_brown_nuclei_it_is(path, y0, x0):
    field = imread(path)[y0 : y0 + 1200, x0 : x0 + 1200]
    half = ndimage.zoom(field, (0.5, 0.5, 1), order=1)
    assert not why(half)
    assert not why(field[:600, :600])  # as if at half the scale
    assert not why(ndimage.gaussian_filter(half, (2.4, 2.4, 0)))
    if path.name.startswith("2"):
        assert not why(stronger(half, 3.5))
    else:
        assert "nuclear staining" in why(as_nuclear(half, 0.4, 0.6))
