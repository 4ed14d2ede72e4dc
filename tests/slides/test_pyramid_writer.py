"""The TIFF writer: what it writes, how little it holds, what it leaves behind."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.core.geometry import BoxPx
from napari_her2.slides.halving import halve, halved_shape, pyramid_shapes
from napari_her2.slides.pyramid_writer import write_pyramid


def noise(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def block_of(image):
    return lambda box: image[box.y0 : box.y1, box.x0 : box.x1]


@pytest.mark.parametrize("shape", [(1, 1), (100, 1025), (1333, 2741), (2048, 1024)])
def test_lossless_levels_are_exact(tmp_path: Path, shape):
    image = noise(*shape)
    path = tmp_path / "slide.ome.tif"
    write_pyramid(path, shape, 0.25, block_of(image), compression="zlib", tile_px=256)
    with tifffile.TiffFile(path) as tiff:
        levels = tiff.series[0].levels
        assert [level.shape[:2] for level in levels] == pyramid_shapes(shape)
        for level in levels:
            np.testing.assert_array_equal(level.asarray(), image)
            image = halve(image)


def test_blocks_are_asked_once_in_row_order(tmp_path):
    image = noise(600, 700)
    asked = []

    def read_block(box):
        asked.append(box)
        return block_of(image)(box)

    write_pyramid(tmp_path / "a.tif", (600, 700), None, read_block, tile_px=256)
    assert asked == sorted(asked, key=BoxPx.as_tuple)
    assert len(asked) == len(set(asked)) == 9
    assert sum(box.area for box in asked) == 600 * 700


def test_scale_and_mark_are_written(tmp_path):
    path = tmp_path / "a.ome.tif"
    image = noise(40, 50)
    write_pyramid(path, (40, 50), 0.5, block_of(image), synthetic=True, name="IHC")
    with tifffile.TiffFile(path) as tiff:
        ome = tiff.ome_metadata
        assert 'PhysicalSizeX="0.5"' in ome
        assert 'Name="SYNTHETIC IHC"' in ome
        assert tiff.pages[0].get_resolution("micrometer") == pytest.approx((2, 2))


def test_the_same_image_is_the_same_file(tmp_path):
    image = noise(300, 300)
    paths = [tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"]
    for path in paths:
        write_pyramid(path, (300, 300), 0.5, block_of(image))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_jpeg_stays_close(tmp_path):
    y, x = np.mgrid[:512, :512] / 512
    image = (np.stack([y, x, 1 - x], axis=2) * 255).astype(np.uint8)
    path = tmp_path / "a.tif"
    write_pyramid(path, (512, 512), 0.5, block_of(image), quality=95)
    assert np.abs(tifffile.imread(path).astype(int) - image).mean() < 2


@pytest.mark.parametrize("stage", ["data", "sync"])
def test_a_full_disk_leaves_nothing_and_keeps_the_old_file(
    tmp_path, monkeypatch, stage
):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.tif"
    path.write_bytes(b"before")
    if stage == "data":
        monkeypatch.setattr(tifffile.FileHandle, "write", full)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.tif.*No space left"):
        write_pyramid(path, (600, 600), 0.5, block_of(noise(600, 600)))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_source_leaves_nothing(tmp_path):
    def read_block(box):
        if box.y0:
            raise UsageError("stop", "stop")
        return np.zeros((*box.shape, 3), np.uint8)

    with pytest.raises(UsageError):
        write_pyramid(tmp_path / "a.tif", (2000, 600), 0.5, read_block)
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        write_pyramid(tmp_path / "no" / "a.tif", (9, 9), 0.5, block_of(noise(9, 9)))


@pytest.mark.parametrize(
    ("shape", "mpp", "tile_px"),
    [((0, 9), 0.5, 512), ((9, 9), 0.0, 512), ((9, 9), 0.5, 100)],
)
def test_nonsense_is_refused(tmp_path, shape, mpp, tile_px):
    with pytest.raises(UsageError):
        write_pyramid(
            tmp_path / "a.tif", shape, mpp, block_of(noise(9, 9)), tile_px=tile_px
        )


def test_wrong_block_is_refused(tmp_path):
    with pytest.raises(UsageError, match="read_block"):
        write_pyramid(tmp_path / "a.tif", (9, 9), 0.5, lambda box: np.zeros((9, 9)))


def test_memory_does_not_grow_with_height(tmp_path):
    """What waits per level is bounded by one row of tiles."""
    import tracemalloc

    block = noise(64, 64)
    peaks = []
    for height in (2048, 8192):
        tracemalloc.start()
        write_pyramid(
            tmp_path / "a.tif", (height, 2048), 0.5, lambda box: block, tile_px=64
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 + 2e6


def test_halving_rounds_and_keeps_odd_edges():
    image = np.array([[0, 1, 7], [1, 1, 9], [4, 4, 200]], np.uint8)[..., None]
    assert halved_shape((3, 3)) == (2, 2)
    np.testing.assert_array_equal(halve(image)[..., 0], [[1, 8], [4, 200]])
