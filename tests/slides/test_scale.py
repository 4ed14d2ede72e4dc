"""Micrometres per pixel: what is believed and what is not."""

import math
from pathlib import Path

import pytest

from napari_her2.core.errors import SlideError, UsageError
from napari_her2.slides.aperio import aperio_mpp
from napari_her2.slides.scale import plausible_mpp, square_mpp, to_um
from napari_her2.slides.slide import open_slide


@pytest.mark.parametrize(
    "mpp", [None, 0.0, -0.5, math.nan, math.inf, 0.049, 20.1, 352.8]
)
def test_absurd_scales_are_unknown(mpp):
    assert plausible_mpp(mpp) is None


def test_units():
    assert to_um(250, "nm") == pytest.approx(0.25)
    assert to_um(1, "inch") == 25400
    assert to_um(1, "parsec") is None


def test_pixels_that_are_not_square_are_refused_by_name():
    with pytest.raises(SlideError, match="Slide: its pixels are not square"):
        square_mpp(Path("a.tif"), 0.25, 0.5)
    assert square_mpp(Path("a.tif"), 0.2500, 0.2501) == pytest.approx(0.25005)
    assert square_mpp(Path("a.tif"), 0.25, None) is None


@pytest.mark.parametrize(
    ("text", "mpp"),
    [("Aperio |MPP = 0.2527|x", 0.2527), ("Aperio |MPP = 0", None), ("Aperio", None)],
)
def test_aperio_description(text, mpp):
    assert aperio_mpp(text) == mpp


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((40000, 40000), "CENTIMETER", 0.25),
        ((50800, 50800), "INCH", 0.5),
        ((72, 72), "INCH", None),
        ((40000, 40000), "NONE", None),
    ],
)
def test_resolution_tags(tiff, noise, resolution, unit, mpp):
    path = tiff(noise(64, 64), resolution=resolution, resolutionunit=unit)
    with open_slide(path) as slide:
        assert slide.mpp == (mpp if mpp is None else pytest.approx(mpp))


def test_no_resolution_is_unknown_until_a_person_gives_it(tiff, noise):
    with open_slide(tiff(noise(64, 64))) as slide:
        assert slide.mpp is None
        assert slide.with_mpp(0.5).mpp == 0.5
        assert slide.with_mpp(0.5).levels is slide.levels
        assert slide.mpp is None
        for absurd in (0, -1, 25, math.nan):
            with pytest.raises(UsageError, match="no scale"):
                slide.with_mpp(absurd)


@pytest.mark.parametrize(
    ("size", "unit", "mpp"),
    [(0.5, "µm", 0.5), (0.0005, "mm", 0.5), (0.5, "pixel", None), (0, "µm", None)],
)
def test_ome_physical_size(tiff, noise, size, unit, mpp):
    metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
    metadata |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    path = tiff(noise(64, 64), "a.ome.tif", ome=True, metadata=metadata)
    with open_slide(path) as slide:
        assert slide.mpp == (mpp if mpp is None else pytest.approx(mpp))


def test_ome_pixels_that_are_not_square(tiff, noise):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    with pytest.raises(SlideError, match="not square"):
        open_slide(tiff(noise(64, 64), "a.ome.tif", ome=True, metadata=metadata))
