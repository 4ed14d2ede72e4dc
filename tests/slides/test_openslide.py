"""Slides that OpenSlide reads behave as all others do."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import tifffile
from scanner_files import write_bif, write_mrxs, write_scn

from napari_her2.core.errors import SlideError
from napari_her2.slides import fingerprint
from napari_her2.slides.openslide_slide import open_openslide
from napari_her2.slides.slide import Slide
from napari_her2.slides.slide import open_slide as open_any

open_slide = partial(open_any, in_process=True)  # workers are tested apart


@pytest.fixture
def image(noise):
    return noise(300, 200)


def test_scn(tmp_path, image):
    path = write_scn(tmp_path / "a.scn", [image, image[::2, ::2]], mpp=0.25)
    with open_slide(path) as slide:
        assert (slide.shape, slide.mpp) == ((600, 400), pytest.approx(0.25, rel=1e-6))
        assert [level.shape for level in slide.levels] == [
            (600, 400, 3),
            (300, 200, 3),
        ]
        pixels = np.asarray(slide.levels[0])
        np.testing.assert_array_equal(pixels[300:, 200:], image)
        assert (pixels[:300] == 255).all()
        np.testing.assert_array_equal(slide.levels[1][150:, 100:], image[::2, ::2])


def test_mrxs_and_its_missing_tiles(tmp_path, image):
    path = write_mrxs(tmp_path / "a.mrxs", image, missing=[(1, 1)])
    expected = image.copy()
    expected[64:128, 64:128] = 255
    with open_slide(path) as slide:
        assert (slide.shape, slide.mpp) == ((320, 256), 0.5)
        np.testing.assert_array_equal(slide.levels[0][:300, :200], expected)


def test_bif(tmp_path, noise):
    image = noise(128, 128)
    with open_slide(write_bif(tmp_path / "a.bif", image)) as slide:
        assert (slide.shape, slide.mpp) == ((128, 128), 0.25)
        np.testing.assert_array_equal(slide.levels[0], image)


def test_an_mrxs_without_its_folder_is_not_its_thumbnail(tmp_path, image):
    path = write_mrxs(tmp_path / "a.mrxs", image)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(SlideError, match=r"cannot read it|part of it"):
        open_slide(path)


@pytest.mark.parametrize("limit", [1 << 30, 1000])
def test_the_name_is_that_of_the_content(tmp_path, image, monkeypatch, limit):
    monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", limit)

    def names(folder, pixels):
        (tmp_path / folder).mkdir()
        paths = [
            write_scn(tmp_path / folder / f"{folder}.scn", [pixels]),
            write_mrxs(tmp_path / folder / f"{folder}.mrxs", pixels),
        ]
        for path in paths:
            with open_slide(path) as slide:
                yield slide.fingerprint

    changed = image.copy()
    changed[100, 100] ^= 1
    first, again, other = (
        list(names(folder, pixels))
        for folder, pixels in (("a", image), ("ä #2", image), ("c", changed))
    )
    assert first == again
    assert len({*first, *other}) == 4


def test_label_and_macro_are_not_read(tmp_path, image, monkeypatch):
    import openslide

    def never(*args):
        raise AssertionError("an associated image was read")

    monkeypatch.setattr(openslide.lowlevel, "read_associated_image", never)
    with open_slide(write_scn(tmp_path / "a.scn", [image])) as slide:
        np.asarray(slide.levels[0])


def test_pixels_are_the_same_from_any_request_and_thread(tmp_path, image):
    # a factor that is not whole: OpenSlide interpolates
    small = image[::3, ::3][:, :65]
    path = write_scn(tmp_path / "a.scn", [image, small])
    with open_slide(path) as slide, ThreadPoolExecutor(8) as pool:
        slide._cache.capacity_bytes = 1
        level = slide.levels[1]
        whole = np.asarray(level)
        boxes = [(y, x, y + 40, x + 30) for y in (0, 77, 110) for x in (0, 50, 71)] * 4
        for (y0, x0, y1, x1), part in zip(
            boxes, pool.map(lambda box: level.read(*box), boxes), strict=True
        ):
            np.testing.assert_array_equal(part, whole[y0:y1, x0:x1])


def test_one_damaged_tile_leaves_the_rest_readable(tmp_path, noise):
    image = noise(1100, 700)
    path = write_scn(tmp_path / "a.scn", [image])
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[-1]
    data = bytearray(path.read_bytes())
    data[offset : offset + 500] = b"\xff" * 500
    path.write_bytes(data)
    with open_slide(path) as slide:
        slide._cache.capacity_bytes = 1
        for _ in range(2):
            with pytest.raises(SlideError, match="block is damaged"):
                slide.levels[0][2190:, 1350:]
            np.testing.assert_array_equal(
                slide.levels[0][1100:2000, 700:1000], image[:900, :300]
            )


def test_closing_waits_and_then_refuses(tmp_path, image, closing_waits):
    slide = open_slide(write_mrxs(tmp_path / "a.mrxs", image))
    closing_waits(slide, slide._source.levels[0]._handle.gate)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("kind", ["scn", "bif"])
def test_truncated(tmp_path, noise, kind, share):
    if kind == "scn":
        path = write_scn(tmp_path / "a.scn", [noise(300, 200)])
    else:
        path = write_bif(tmp_path / "a.bif", noise(128, 128))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert str(tmp_path) not in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("kind", ["scn", "mrxs"])
def test_without_the_extra_the_error_names_it(tmp_path, image, without, kind):
    if kind == "scn":
        path = write_scn(tmp_path / "a.scn", [image])
    else:
        path = write_mrxs(tmp_path / "a.mrxs", image)
    without("openslide")
    with pytest.raises(SlideError, match="extra 'openslide'") as caught:
        open_slide(path)
    assert 'pip install "napari-her2[openslide]"' in caught.value.next_step


def test_the_same_pixels_as_the_own_reader(real):
    path = real("wsi_vendor_formats/CMU-1-Small-Region.svs")
    with open_slide(path) as own, Slide(path, open_openslide(path)) as other:
        assert (own.shape, own.mpp) == (other.shape, other.mpp)
        for one, two in zip(own.levels, other.levels, strict=True):
            np.testing.assert_array_equal(one, two)
