"""What is damaged, foreign or hostile gets one sentence with a next step."""

import os
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_her2.core.errors import SlideError
from napari_her2.core.score import Stain
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.slide import open_slide


def refused(path, problem):
    """Assert that opening names the problem and a next step, never the file."""
    with pytest.raises(SlideError, match=problem) as caught:
        open_slide(path)
    assert str(caught.value).startswith("Slide: ")
    assert Path(path).name not in str(caught.value)
    assert caught.value.next_step.endswith(".")


def png_header(width, height, depth=8, mode=2):
    body = struct.pack(">IIBBBBB", width, height, depth, mode, 0, 0, 0)
    chunk = b"IHDR" + body
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\0IDAT\0\0\0\0\0\0\0\0IEND\xaeB`\x82"
    )


def test_missing(tmp_path):
    refused(tmp_path / "no.svs", "missing")


def test_empty(tmp_path):
    path = tmp_path / "a.svs"
    path.touch()
    refused(path, "empty")


@pytest.mark.parametrize("head", [b"hello", b"\0" * 500, b"%PDF-1.7", b"II", b"\xff"])
def test_no_image(tmp_path, head):
    path = tmp_path / "a.tif"
    path.write_bytes(head)
    refused(path, "no slide image")


def test_a_folder(tmp_path):
    refused(tmp_path, "folder and no OME-Zarr")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read all")
def test_no_permission(tiff, noise):
    path = tiff(noise(9, 9))
    path.chmod(0)
    refused(path, "cannot be opened")


def test_permission_denied_by_the_system(tiff, noise, monkeypatch):
    path = tiff(noise(9, 9))

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SlideError, match="Permission denied"):
        open_slide(path, in_process=True)


def test_a_name_that_cannot_be():
    refused("a\0b.tif", "cannot be opened")
    refused("x" * 5000, "cannot be opened")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("big", [False, True])
def test_a_truncated_tiff(tiff, noise, share, big):
    path = tiff(noise(600, 600), tile=(256, 256), bigtiff=big)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, "truncated|broken|end of the file")


def test_a_truncated_pyramid(tmp_path, noise):
    path = tmp_path / "a.ome.tif"
    image = noise(1500, 1500)
    write_pyramid(
        path, (1500, 1500), 0.5, lambda b: image[b.y0 : b.y1, b.x0 : b.x1], tile_px=256
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, "truncated|broken|end of the file")


def one_ifd(next_ifd, tags=((256, 4, 1, 10), (257, 4, 1, 10))):
    """Return a classic TIFF of one directory without pixels."""
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + body
    ) + struct.pack("<I", next_ifd)


def test_directories_in_a_circle(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(one_ifd(next_ifd=8))
    refused(path, "circle")


def test_sub_directories_in_a_circle(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(one_ifd(0, tags=((256, 4, 1, 10), (330, 4, 1, 8))))
    refused(path, "broken TIFF|no RGB|grey|no image")


def test_a_long_chain_of_directories(tmp_path):
    path = tmp_path / "a.tif"
    size = 2 + 12 + 4
    ifds = [
        struct.pack("<HHHII", 1, 256, 4, 1, 1) + struct.pack("<I", 8 + size * (i + 1))
        for i in range(5000)
    ]
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(ifds))
    refused(path, "more than 2048 directories")


def test_a_directory_with_absurd_tags(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 65535) + b"\0" * 100)
    refused(path, "65535 tags")


def test_a_table_that_leads_out_of_the_file(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(one_ifd(0, tags=((256, 4, 1, 9), (324, 4, 1 << 30, 8))))
    refused(path, "leads out of the file")


def with_tag(path, code, value):
    """Change the value of one tag of the first page."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags[code].overwrite(value)
    return path


@pytest.mark.parametrize("code", [256, 257])
@pytest.mark.parametrize("side", [0, 1 << 24, (1 << 32) - 1])
def test_absurd_dimensions(tiff, noise, code, side):
    path = tiff(noise(64, 64), tile=(64, 64), metadata=None, software=False)
    refused(with_tag(path, code, side), "makes no sense|announces|broken|no RGB")


def test_a_huge_strip(tiff, noise):
    path = tiff(noise(64, 64), rowsperstrip=64)
    for code in (256, 257, 278):
        with_tag(path, code, 60000)
    refused(path, "in one piece|no RGB|broken")


def test_a_damaged_tile_shows_when_it_is_opened(tiff, noise):
    path = tiff(noise(64, 64), tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(data)
    refused(path, "block 0 is damaged")


def test_a_damaged_tile_shows_when_it_is_read(tiff, noise):
    path = tiff(noise(64, 320), tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(data)
    with open_slide(path) as slide:
        with pytest.raises(SlideError, match="Slide: block 0 is damaged"):
            slide.levels[0][:10, :10]
        assert slide.levels[0][:, 64:].any()


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000"])
def test_a_tile_that_announces_more_than_it_is(tiff, noise, codec):
    path = tiff(noise(256, 256), tile=(256, 256), compression=codec)
    data = bytearray(path.read_bytes())
    if codec == "jpeg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    else:
        at = data.index(b"\xff\x4f\xff\x51")
        data[at + 8 : at + 16] = b"\0\x01\0\0" * 2
    path.write_bytes(data)
    refused(path, "block 0 is damaged .it announces 429")


def test_a_huge_image_without_small_levels(tmp_path):
    path = tmp_path / "a.tif"
    tiles = iter([np.zeros((1024, 1024, 3), np.uint8), *[None] * (64 * 64 - 1)])
    tifffile.imwrite(
        path, tiles, shape=(65536, 65536, 3), dtype="uint8", tile=(1024, 1024),
        photometric="rgb", metadata=None, compression="zlib",
    )  # fmt: skip
    refused(path, "lacks small levels")


@pytest.mark.parametrize(
    ("image", "options", "problem"),
    [
        (np.zeros((64, 64), np.uint8), {"photometric": "minisblack"}, "grey"),
        (np.zeros((64, 64, 3), np.uint16), {}, "16 bits"),
        (np.zeros((64, 64, 3), np.float32), {}, "floating-point"),
        (
            np.zeros((4, 64, 64), np.uint8),
            {"photometric": "minisblack", "metadata": {"axes": "CYX"}},
            "channels",
        ),
        (np.zeros((64, 64, 4), np.uint8), {"photometric": "separated"}, "CMYK"),
    ],
)
def test_no_rgb(tiff, image, options, problem):
    refused(tiff(image, **options), problem)


def test_fluorescence_as_ome(tiff):
    image = np.zeros((3, 64, 64), np.uint8)
    path = tiff(
        image, "a.ome.tif", photometric="minisblack", ome=True, metadata={"axes": "CYX"}
    )
    refused(path, "several channels")


def test_an_orientation_that_is_none(tiff, noise):
    path = tiff(noise(64, 64), extratags=[(274, 3, 1, 9, True)])
    refused(path, "orientation tag makes no sense")


@pytest.mark.parametrize("orientation", range(9))
def test_real_turned_tiffs(real, orientation):
    refused(real(f"wsi_vendor_formats/test_orient{orientation}.tif"), "grey")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("svs-images/broken.svs", "no slide image"),
        ("grey10kx5k.tif", "grey"),
        ("mc_im_8bit.tiff", "several channels"),
        ("sc_im_8bit.tiff", "grey"),
        ("small_la.tiff", "grey|2 channels"),
        ("zero_gi.tif", "CMYK|makes no sense|no RGB"),
        ("sample_float32_8bit_range.zarr.zip", "float32"),
        ("testdata/test.dcm", "DICOM"),
    ],
)
def test_real_files_that_are_no_slide(real, name, problem):
    refused(real(f"wsi_vendor_formats/{name}"), problem)


@pytest.mark.parametrize("size", [(1 << 31, 1 << 31), (60000, 60000), (0, 5)])
def test_a_png_that_announces_too_much(tmp_path, size):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(*size))
    refused(path, "too large|no valid PNG")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (png_header(9, 9, mode=0), "grey"),
        (png_header(9, 9, depth=16), "16 bits"),
        (png_header(9, 9), "damaged"),
        (png_header(9, 9)[:20], "damaged"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03" + b"\0" * 9, "damaged"),
    ],
)
def test_broken_flat_images(tmp_path, data, problem):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    refused(path, problem)


def test_truncated_jpeg_and_png(tmp_path, noise):
    for encode in (imagecodecs.jpeg_encode, imagecodecs.png_encode):
        data = encode(noise(100, 100))
        path = tmp_path / "a.img"
        path.write_bytes(data[: len(data) // 2])
        refused(path, "truncated")


def test_a_jpeg_that_announces_too_much(tmp_path, noise):
    data = imagecodecs.jpeg_encode(noise(16, 16))
    at = data.index(b"\xff\xc0")
    path = tmp_path / "a.jpg"
    path.write_bytes(data[: at + 5] + b"\xff\xff\xff\xff" + data[at + 9 :])
    refused(path, "too large")


def test_a_grey_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(np.zeros((16, 16), np.uint8)))
    refused(path, "grey")


def test_a_synthetic_image_is_no_real_slide(tmp_path, stained):
    path = tmp_path / "a.ome.tif"
    image = stained("dab")
    write_pyramid(
        path,
        image.shape[:2],
        0.5,
        lambda b: image[b.y0 : b.y1, b.x0 : b.x1],
        synthetic=True,
    )
    with open_slide(path) as slide:
        assert slide.is_synthetic
    with pytest.raises(SlideError, match="synthetic image"):
        open_slide(path, stain=Stain.IHC)
