"""A slide is named by its content and by nothing else."""

import shutil

import numpy as np
import pytest
import tifffile
import zarr

from napari_her2.slides import fingerprint
from napari_her2.slides.slide import open_slide


def name_of(path):
    with open_slide(path, in_process=True) as slide:
        return slide.fingerprint


def flip(path, offset):
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Take every file as small, or as one too large to be read whole."""
    if request.param == "large":
        monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", 1000)
    return request.param


@pytest.fixture
def pyramid(tmp_path, noise):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for index in range(3):
            image = noise(1024 >> index, 1024 >> index)
            writer.write(
                image, tile=(128, 128), photometric="rgb", subfiletype=index and 1,
                metadata=None,
            )  # fmt: skip
    return path


def test_it_is_that_of_the_content_not_of_the_name(pyramid, size, tmp_path):
    first = name_of(pyramid)
    assert first.startswith("blake2b:")
    assert len(first) == len("blake2b:") + 40
    shutil.copy(pyramid, tmp_path / "other.svs")
    assert name_of(tmp_path / "other.svs") == first


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_changed_pixel_changes_it(pyramid, size, level):
    before = name_of(pyramid)
    with tifffile.TiffFile(pyramid) as tiff:
        offset = tiff.pages[level].dataoffsets[3]
    flip(pyramid, offset + 100)
    assert name_of(pyramid) != before


def test_large_files_are_sampled(pyramid, monkeypatch):
    """Only the middle of a large level-0 tile of unchanged length goes unseen."""
    monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", 1000)
    before = name_of(pyramid)
    with tifffile.TiffFile(pyramid) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    flip(pyramid, offset + fingerprint._SAMPLE_BYTES + 50)
    assert name_of(pyramid) == before


def test_the_whole_file_counts_when_it_is_small(pyramid):
    before = name_of(pyramid)
    with tifffile.TiffFile(pyramid) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    flip(pyramid, offset + fingerprint._SAMPLE_BYTES + 50)
    assert name_of(pyramid) != before


def test_zarr(tmp_path, noise, size):
    image = noise(300, 300)
    path = tmp_path / "a.zarr"
    zarr.save_array(str(path), image)
    before = name_of(path)
    shutil.copytree(path, tmp_path / "b.zarr")
    assert name_of(tmp_path / "b.zarr") == before
    image[5, 5] ^= np.uint8(1)
    zarr.save_array(str(tmp_path / "c.zarr"), image)
    assert name_of(tmp_path / "c.zarr") != before


def test_tiles_are_read_in_few_pieces_and_the_name_stays(pyramid, monkeypatch):
    monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", 1000)
    together = name_of(pyramid)
    reads = []
    joined = fingerprint._joined
    monkeypatch.setattr(
        fingerprint, "_joined", lambda spans: reads.append(list(spans)) or reads[-1]
    )
    assert name_of(pyramid) == together
    assert [len(spans) for spans in reads] == [4, 16]
    assert [len(list(joined(spans))) for spans in reads] == [1, 1]
    monkeypatch.setattr(fingerprint, "_PIECE_BYTES", 100_000)
    assert [len(list(joined(spans))) for spans in reads] == [2, 8]
    assert list(joined([(5, 3), (8, 0), (9, 2), (2, 3), (5, 1)])) == [
        (5, 3),
        (9, 2),
        (2, 4),
    ]
