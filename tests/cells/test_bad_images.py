"""What is no good image of HER2 has its reason, and what is only unusual its score."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage.io import imsave

from napari_her2.cells.score_file import ScoreAsked, score_file
from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import NotAssessable, Score, Stain
from napari_her2.phantom.artefacts import Field
from napari_her2.phantom.artefacts_ink import PenColour, PenMark
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.stain.density import optical_density, white_of
from napari_her2.stain.vectors import DAB, HAEMATOXYLIN, fit_vectors, unmix

MPP = 0.5


def field(seed, stratum, stain=Stain.IHC):
    pair = VirtualPair(
        draw_recipe(seed, stratum=stratum, width_um=330.0, height_um=260.0)
    )
    return pair.render(stain, BoxPx.of_shape(pair.shape_px(stain)))


@pytest.fixture(scope="module")
def three():
    return field(5014, Score.THREE)


@pytest.fixture(scope="module")
def zero():
    return field(9108, Score.ZERO)


@pytest.fixture
def score(tmp_path):
    def of(image, **asked):
        imsave(tmp_path / "a.png", image, check_contrast=False)
        return score_file(ScoreAsked(tmp_path / "a.png", MPP, **asked))

    return of


def light(density, white):
    return np.clip(white * 10**-density, 0, 255).round().astype(np.uint8)


def one_dye(image, which):
    """Leave haematoxylin (0) or DAB (1) alone in an image."""
    white = white_of(image)
    density = optical_density(image, white)
    vectors = fit_vectors(density[::3, ::3].reshape(-1, 3), Stain.IHC)
    amount = np.maximum(unmix(density, vectors)[which], 0)
    vector = np.array((HAEMATOXYLIN, DAB)[which])
    return light(amount[..., None] * vector / np.linalg.norm(vector), white)


def granules(image, colour, n_heaps=33, seed=0):
    """Strew heaps of dark granules over the tissue of an image."""
    rng = np.random.default_rng(seed)
    white = white_of(image)
    density = optical_density(image, white)
    tissue = np.argwhere(density.sum(-1) > 0.2)
    middle = tissue[rng.integers(len(tissue), size=n_heaps)]
    places = (middle[:, None] + rng.normal(0, 8, (n_heaps, 12, 2))).reshape(-1, 2)
    y, x = np.clip(places, 0, np.array(image.shape[:2]) - 1).astype(int).T
    dots = np.zeros(image.shape[:2])
    dots[y, x] = 1
    dots = ndimage.gaussian_filter(ndimage.grey_dilation(dots, (3, 3)), 0.6)
    return light(density + dots[..., None] * np.array(colour), white)


def test_without_haematoxylin_there_is_no_score(three, score):
    found = score(one_dye(three, 1))
    assert isinstance(found.call, NotAssessable)
    assert "no haematoxylin" in found.reason


def test_haematoxylin_alone_is_a_0(three, score):
    assert score(one_dye(three, 0), least_cells=30).call is Score.ZERO


@pytest.mark.parametrize(
    ("colour", "says"),
    [
        ((0.72, 0.9, 1.08), "black pigment"),  # melanin
        ((1.3, 1.3, 1.3), "black pigment"),  # carbon, formalin
    ],
)
def test_pigment_is_named_where_most_of_the_brown_is_pigment(zero, score, colour, says):
    found = score(granules(zero, colour))
    assert isinstance(found.call, NotAssessable)
    assert says in found.reason


def test_some_pigment_on_a_strong_slide_changes_nothing(three, score):
    assert score(granules(three, (1.3, 1.3, 1.3), 10)).call is Score.THREE


def test_a_grey_image_has_no_score(three, score):
    grey = three.mean(-1, keepdims=True).round().astype(np.uint8)
    found = score(np.repeat(grey, 3, 2))
    assert isinstance(found.call, NotAssessable)
    assert "no tissue" in found.reason


def test_random_colours_have_no_score(score):
    rng = np.random.default_rng(0)
    found = score(rng.integers(0, 255, (400, 500, 3)).astype(np.uint8))
    assert isinstance(found.call, NotAssessable)
    assert "neither haematoxylin nor DAB" in found.reason


@pytest.mark.parametrize("grey", [(205, 190, 170), (180, 140, 100), (0, 0, 0)])
def test_a_background_alone_has_no_score(score, grey):
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(grey, 3, (400, 500, 3)), 0, 255).astype(np.uint8)
    assert isinstance(score(image).call, NotAssessable)


@pytest.mark.parametrize("part", [np.s_[:1, :1], np.s_[200:206], np.s_[200:230, :40]])
def test_a_scrap_has_no_score(three, score, part):
    found = score(three[part])
    assert isinstance(found.call, NotAssessable)
    assert "no tissue" in found.reason or "at least 50" in found.reason


@pytest.mark.parametrize("colour", list(PenColour))
def test_pen_is_no_staining(zero, three, score, colour):
    mark = PenMark(colour, ((20.0, 20.0), (60.0, 120.0)), width_um=40.0)
    is_three = colour in (PenColour.BLACK, PenColour.GREEN)
    image, expected = (three, Score.THREE) if is_three else (zero, Score.ZERO)
    found = score(mark.lay_over(Field(image, MPP, Stain.IHC)).field.image)
    assert found.call is expected or isinstance(found.call, NotAssessable)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image * 0.75,  # grey glass
        lambda image: image * np.array([1, 0.9, 0.93]),  # pink glass
        lambda image: image * np.linspace(0.7, 1, image.shape[1])[:, None],
        lambda image: image * 0.45,  # dark camera
        lambda image: np.minimum(image * 1.12, 255),  # glass is saturated
    ],
    ids=["grey", "pink", "uneven", "dark", "bright"],
)
def test_a_camera_changes_nothing(three, score, change):
    assert score(change(three.astype(float)).astype(np.uint8)).call is Score.THREE


def test_a_field_of_a_camera_without_glass_is_read(three, score):
    white = white_of(three)
    density = optical_density(three[20:500, 10:650], white)
    gaps = ndimage.gaussian_filter((density.sum(-1) < 0.15).astype(float), 2)
    stroma = 0.2 * gaps[..., None] * np.array(HAEMATOXYLIN)
    image = light(density + stroma, white)
    assert (image.min(-1) > 220).mean() < 0.01
    assert score(image).call is Score.THREE


def test_strong_compression_changes_nothing(three, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(three, level=60))
    assert score_file(ScoreAsked(path, MPP)).call is Score.THREE


def test_transparency_is_glass(three, score):
    alpha = np.full(three.shape[:2], 255, np.uint8)
    assert score(np.dstack([three, alpha])).call is Score.THREE
    alpha[:, 330:] = 0
    half = score(np.dstack([three, alpha]), least_cells=20)
    assert half.call is Score.THREE


def cmyk(image):
    inks = np.dstack([255 - image, np.zeros(image.shape[:2], np.uint8)])
    return imagecodecs.jpeg_encode(inks, colorspace="CMYK", outcolorspace="CMYK")


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("a.jpg", lambda i: cmyk(i), "4 channels"),
        ("a.png", lambda i: imagecodecs.png_encode(i.astype(np.uint16)), "16 bits"),
        ("a.png", lambda i: imagecodecs.png_encode(i[..., 0].copy()), "grey image"),
        ("a.jpg", lambda i: imagecodecs.jpeg_encode(i[..., 0].copy()), "grey image"),
    ],
)
def test_other_kinds_of_image_are_named(three, tmp_path, name, write, says):
    (tmp_path / name).write_bytes(write(three))
    found = score_file(ScoreAsked(tmp_path / name, MPP))
    assert isinstance(found.call, NotAssessable)
    assert says in found.reason


@pytest.mark.parametrize(
    ("kind", "says"), [(np.uint16, "16 bits"), (np.float32, "32 bits")]
)
def test_deeper_tiffs_are_named(three, tmp_path, kind, says):
    tifffile.imwrite(tmp_path / "a.tif", three.astype(kind), photometric="rgb")
    found = score_file(ScoreAsked(tmp_path / "a.tif", MPP))
    assert isinstance(found.call, NotAssessable)
    assert says in found.reason


def test_three_cells_are_too_few_and_a_region_is_clipped(three, score):
    few = score(three, region_px=BoxPx(200, 100, 250, 160))
    assert "at least 50" in few.reason
    across = score(three, region_px=BoxPx(-100, -100, 2000, 2000))
    assert across.call is Score.THREE
    assert "was clipped" in across.reason
