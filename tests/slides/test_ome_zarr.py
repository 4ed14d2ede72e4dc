"""OME-Zarr 0.4 and 0.5, as folder and zip."""

import json
import shutil

import numpy as np
import pytest
import zarr

from napari_her2.core.errors import SlideError
from napari_her2.slides.halving import halve
from napari_her2.slides.slide import open_slide

FLUORESCENCE = [{"color": colour} for colour in ("0000FF", "00FF00", "FF0000")]


@pytest.fixture
def write(tmp_path):
    def write_image(levels, axes="cyx", version=2, name="a.zarr", **more):
        path = tmp_path / name
        group = zarr.open_group(str(path), mode="w", zarr_format=version)
        units = {"y": "micrometer", "x": "micrometer"}
        datasets = []
        for index, level in enumerate(levels):
            chunks = tuple(100 if axis in "yx" else 1 for axis in axes)
            array = group.create_array(
                str(index), shape=level.shape, dtype=level.dtype, chunks=chunks
            )
            array[:] = level
            scale = [0.5 * 2**index if axis in "yx" else 1.0 for axis in axes]
            scale = more.get("scale", scale)
            datasets.append(
                {
                    "path": more.get("path", str(index)),
                    "coordinateTransformations": [{"type": "scale", "scale": scale}],
                }
            )
        named = [{"name": axis, "unit": units.get(axis, "")} for axis in axes]
        image = {"multiscales": [{"axes": named, "datasets": datasets}]}
        image |= more.get("attributes", {})
        group.attrs.update(image if version == 2 else {"ome": image})
        return path

    return write_image


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("axes", ["cyx", "tczyx", "yxc"])
def test_levels_scale_and_pixels(write, noise, version, axes):
    image = noise(330, 410)
    levels = [image, halve(image)]
    order = [axes.replace("t", "").replace("z", "").index(axis) for axis in "yxc"]
    arrays = [level.transpose(np.argsort(order)) for level in levels]
    if "t" in axes:
        arrays = [array[None, :, None] for array in arrays]
    with open_slide(write(arrays, axes, version)) as slide:
        assert slide.mpp == pytest.approx(0.5)
        assert len(slide.levels) == 2
        for level, expected in zip(slide.levels, levels, strict=True):
            np.testing.assert_array_equal(level, expected)
        np.testing.assert_array_equal(slide.levels[0][99:301, 3], image[99:301, 3])


def test_zip(write, noise, tmp_path):
    image = noise(120, 130)
    folder = write([image.transpose(2, 0, 1)])
    path = shutil.make_archive(
        str(tmp_path / "b.zarr"), "zip", folder.parent, folder.name
    )
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)


def test_a_plain_array(tmp_path, noise):
    image = noise(120, 130)
    zarr.save_array(str(tmp_path / "a.zarr"), image)
    with open_slide(tmp_path / "a.zarr") as slide:
        np.testing.assert_array_equal(slide.levels[0], image)
        assert slide.mpp is None


@pytest.mark.parametrize(
    ("array", "more", "problem"),
    [
        (np.zeros((3, 9, 9), np.uint16), {}, "uint16"),
        (np.zeros((1, 9, 9), np.uint8), {}, "grey"),
        (np.zeros((5, 9, 9), np.uint8), {}, "5 channels"),
        (np.zeros((3, 9, 9), np.uint8), {"path": "../0"}, "outside its folder"),
        (np.zeros((3, 9, 9), np.uint8), {"path": "9"}, "broken OME-Zarr"),
        (
            np.zeros((3, 9, 9), np.uint8),
            {"attributes": {"omero": {"channels": FLUORESCENCE}}},
            "fluorescence",
        ),
        (np.zeros((3, 9, 9), np.uint8), {"scale": [1, 0.5, 0.25]}, "not square"),
    ],
)
def test_refusals(write, array, more, problem):
    with pytest.raises(SlideError, match=problem):
        open_slide(write([array], **more))


@pytest.mark.parametrize("scale", [[1, 0, 0], [1, 1000, 1000]])
def test_an_absurd_scale_is_unknown(write, noise, scale):
    with open_slide(write([noise(9, 9).transpose(2, 0, 1)], scale=scale)) as slide:
        assert slide.mpp is None


def test_broken_metadata(write, noise):
    path = write([noise(9, 9).transpose(2, 0, 1)])
    (path / ".zattrs").write_text("{")
    with pytest.raises(SlideError, match="broken OME-Zarr"):
        open_slide(path)
    (path / ".zattrs").write_text(json.dumps({"multiscales": []}))
    with pytest.raises(SlideError, match="broken OME-Zarr"):
        open_slide(path)


def test_a_damaged_chunk(write, noise):
    path = write([noise(300, 300).transpose(2, 0, 1)])
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            chunk.write_bytes(b"\xff" * 30)
    with pytest.raises(SlideError, match="chunk is damaged"):
        open_slide(path)
