"""Results belong to the colours that were read, and say which they were."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_her2.inference.identity import identity_of, key_of
from napari_her2.inference.reading import TileReader
from napari_her2.models.bundle import load_bundle
from napari_her2.slides.pair import SlidePair
from napari_her2.slides.slide import open_slide


@pytest.fixture
def slide_path(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        image,
        tile=(128, 128),
        photometric="rgb",
        resolution=(2e4, 2e4),
        resolutionunit="CENTIMETER",
        iccprofile=bytes(imagecodecs.cms_profile("adobergb")),
    )
    return path


def test_a_run_in_other_colours_is_another_run(
    slide_path: Path, tiny_bundle_path: Path
) -> None:
    bundle = load_bundle(tiny_bundle_path)
    keys, pixels = [], []
    for use_profile in (True, False, True):
        slide = open_slide(slide_path, use_profile=use_profile)
        with SlidePair(slide, None) as pair:
            reader = TileReader(pair, bundle.card)
            keys.append(key_of(identity_of(reader, bundle, "cpu")))
            pixels.append(np.asarray(slide.levels[0]))
    assert keys[0] == keys[2] != keys[1]
    np.testing.assert_array_equal(pixels[0], pixels[2])
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() > 20
