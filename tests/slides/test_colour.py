"""Colours by the ICC profile of a slide: what changes, and what says so."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from dicom_files import uids, write_instance
from PIL import Image

from napari_her2.slides.colour import Colours, in_srgb, to_srgb
from napari_her2.slides.halving import halve
from napari_her2.slides.openslide_slide import open_openslide
from napari_her2.slides.slide import Slide, open_slide

WIDE = bytes(imagecodecs.cms_profile("adobergb"))
SRGB = bytes(imagecodecs.cms_profile("srgb"))


@pytest.fixture
def image(noise):
    return noise(300, 200)


def write_tiff(path, image, icc):
    tifffile.imwrite(
        path, image, photometric="rgb", tile=(64, 64), iccprofile=icc, metadata=None
    )
    return path


def write_flat(path, image, icc):
    Image.fromarray(image).save(path, icc_profile=icc, quality=95)
    return path


def write_dicom(path, image, icc):
    return write_instance(path, image, *uids(1), icc=icc)


WRITERS = {
    "a.tif": write_tiff,
    "a.png": write_flat,
    "a.jpg": write_flat,
    "a.dcm": write_dicom,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_applies_its_profile(tmp_path, image, name):
    path = WRITERS[name](tmp_path / name, image, WIDE)
    with open_slide(path, use_profile=False) as stored, open_slide(path) as shown:
        assert (stored.colours, shown.colours) == (Colours.STORED, Colours.SRGB)
        before = np.asarray(stored.levels[0])
        after = np.asarray(shown.levels[0])
        np.testing.assert_array_equal(after, to_srgb(before, WIDE))
        assert np.abs(after.astype(int) - before).max() > 20
        assert stored.fingerprint == shown.fingerprint == stored.pixels
        assert shown.pixels != stored.pixels


def test_openslide_hands_over_the_profile(tmp_path, image):
    path = write_tiff(tmp_path / "a.tif", image, WIDE)
    with Slide(path, in_srgb(open_openslide(path))) as slide:
        np.testing.assert_array_equal(slide.levels[0], to_srgb(image, WIDE))


def test_the_conversion_is_that_of_another_implementation(image):
    """Pillow has its own copy of the same method."""
    from PIL import ImageCms

    theirs = ImageCms.profileToProfile(
        Image.fromarray(image),
        ImageCms.ImageCmsProfile(io.BytesIO(WIDE)),
        ImageCms.createProfile("sRGB"),
    )
    off = np.abs(to_srgb(image, WIDE).astype(int) - np.asarray(theirs))
    assert off.max() <= 2
    assert off.mean() < 0.1


def test_a_pixel_is_the_same_from_any_request(tmp_path, noise):
    image = noise(700, 600)
    path = write_tiff(tmp_path / "a.tif", image, WIDE)
    expected = to_srgb(image, WIDE)
    with open_slide(path) as slide:
        for y0, x0, y1, x1 in [(0, 0, 700, 600), (5, 9, 6, 10), (100, 63, 450, 470)]:
            np.testing.assert_array_equal(
                slide.levels[0].read(y0, x0, y1, x1), expected[y0:y1, x0:x1]
            )


def test_built_levels_are_halved_after_the_conversion(tmp_path, noise):
    image = noise(1300, 1100)
    path = write_tiff(tmp_path / "a.tif", image, WIDE)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[1], halve(to_srgb(image, WIDE)))


@pytest.mark.parametrize("icc", [None, SRGB])
def test_srgb_and_no_profile_change_nothing(tmp_path, image, icc):
    path = write_tiff(tmp_path / "a.tif", image, icc)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)
        assert slide.colours is Colours.STORED
        assert slide.pixels == slide.fingerprint


@pytest.mark.parametrize(
    "icc",
    [
        b"nonsense",
        WIDE[:200],
        WIDE[:16] + b"CMYK" + WIDE[20:],
        WIDE[:36] + b"acsq" + WIDE[40:],
        bytes(imagecodecs.cms_profile("gray")),
    ],
)
def test_a_profile_that_is_no_use_is_told_and_left(tmp_path, image, icc):
    path = write_tiff(tmp_path / "a.tif", image, icc)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)
        assert slide.colours is Colours.UNUSABLE


def test_a_damaged_profile_never_crashes(tmp_path, image):
    rng = np.random.default_rng(0)
    small = image[:8, :8]
    n_refused = 0
    for _ in range(300):
        icc = bytearray(WIDE)
        for at in rng.integers(0, len(icc), 6):
            icc[at] = rng.integers(256)
        try:
            assert to_srgb(small, bytes(icc)).shape == small.shape
        except ValueError:
            n_refused += 1
    assert 0 < n_refused < 300


def test_two_profiles_are_two_names(tmp_path, image):
    primaries = [0.735, 0.265, 1.0, 0.115, 0.824, 1.0, 0.157, 0.018, 1.0]
    other = bytes(
        imagecodecs.cms_profile(
            "rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=primaries, gamma=1.8
        )
    )
    names = set()
    for icc in (WIDE, other):
        with open_slide(write_tiff(tmp_path / "a.tif", image, icc)) as slide:
            names.add(slide.pixels.partition("+")[2])
    assert len(names) == 2
    assert "" not in names


def test_a_png_profile_that_inflates_to_gigabytes_is_none(tmp_path, image):
    import struct
    import zlib

    path = write_flat(tmp_path / "a.png", image, None)
    data = path.read_bytes()
    body = b"x\0\0" + zlib.compress(b"\0" * (64 << 20))
    crc = struct.pack(">I", zlib.crc32(b"iCCP" + body))
    chunk = struct.pack(">I", len(body)) + b"iCCP" + body + crc
    path.write_bytes(data[:33] + chunk + data[33:])
    with open_slide(path) as slide:
        assert slide.colours is Colours.STORED


def test_the_real_profiles_say_srgb(real):
    path = real("wsi_vendor_formats/svs-images/tcga-cr-7395-01a-01-ts1.svs")
    with open_slide(path, in_process=True) as slide:
        assert slide.colours is Colours.STORED
        assert len(slide._source.icc) == 3144
        assert in_srgb(slide._source) is slide._source
