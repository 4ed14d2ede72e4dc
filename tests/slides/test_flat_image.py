"""PNG and JPEG as slides."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from napari_her2.slides.halving import halve
from napari_her2.slides.slide import open_slide


def test_a_png_is_exact_and_gets_a_pyramid(tmp_path, noise):
    image = noise(1100, 700)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(image, level=0))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)
        np.testing.assert_array_equal(slide.levels[1], halve(image))
        assert slide.mpp is None
        assert slide.levels[0].chunks == (512, 512, 3)


def test_transparency_lies_over_white(tmp_path, noise):
    image = noise(20, 30, 4)
    image[:10, :, 3] = 0
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(image))
    with open_slide(path) as slide:
        assert (slide.levels[0][:10] == 255).all()


def test_the_scale_of_a_png(tmp_path, noise):
    data = imagecodecs.png_encode(noise(20, 30))
    body = b"pHYs" + struct.pack(">IIB", 2_000_000, 2_000_000, 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "a.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)


def test_the_default_density_of_a_jpeg_is_no_scale(tmp_path, noise):
    data = imagecodecs.jpeg_encode(noise(20, 30))
    at = data.index(b"JFIF\0") + 7
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:at] + struct.pack(">BHH", 1, 72, 72) + data[at + 5 :])
    with open_slide(path) as slide:
        assert slide.mpp is None
    path.write_bytes(data[:at] + struct.pack(">BHH", 2, 20000, 20000) + data[at + 5 :])
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)


def test_an_exif_orientation_is_applied(tmp_path, noise):
    data = imagecodecs.jpeg_encode(noise(20, 30), level=100)
    tag = struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + tag + b"\0\0\0\0"
    path = tmp_path / "a.jpg"
    path.write_bytes(
        data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    )
    with open_slide(path) as slide:
        assert slide.shape == (30, 20)
        expected = imagecodecs.jpeg_decode(data).transpose(1, 0, 2)[:, ::-1]
        np.testing.assert_array_equal(slide.levels[0], expected)
