"""Opening and closing leaves no handle, no thread and no memory behind."""

import gc
import weakref

import imagecodecs
import numpy as np
import psutil
import pytest
import tifffile
import zarr
from dicom_files import uids, write_instance
from scanner_files import write_bif, write_mrxs, write_scn

from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.slide import open_slide

WARM_UP, TIMES = 30, 200
POOL_THREADS = 8
MAX_GROWTH_BYTES = 12 << 20
"""The pixels of the 200 slides together are 168 MB."""


def write_ome(path, image):
    write_pyramid(path, image.shape[:2], 0.5, lambda b: image[b.y0 : b.y1, b.x0 : b.x1])


def write_zarr(path, image):
    zarr.save_array(str(path), image)


def write_profiled(path, image):
    icc = bytes(imagecodecs.cms_profile("adobergb"))
    tifffile.imwrite(path, image, photometric="rgb", tile=(256, 256), iccprofile=icc)


WRITERS = {
    "plain.tif": lambda path, image: tifffile.imwrite(path, image, tile=(256, 256)),
    "profile.tif": write_profiled,
    "pyramid.ome.tif": write_ome,
    "flat.png": lambda p, image: p.write_bytes(imagecodecs.png_encode(image)),
    "folder.zarr": write_zarr,
    "dicom.dcm": lambda p, image: write_instance(p, image, *uids(1), tile=256),
    "leica.scn": lambda p, image: write_scn(p, [image]),
    "mirax.mrxs": lambda p, image: write_mrxs(p, image, tile=256),
    "ventana.bif": lambda p, image: write_bif(p, image[:512, :512], tile=256),
}


def state():
    """Return (open files and sockets, threads, resident bytes) of this process."""
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.num_threads(), process.memory_info().rss


@pytest.mark.slow
@pytest.mark.skipif(psutil.WINDOWS, reason="no count of descriptors there")
@pytest.mark.parametrize("name", WRITERS)
def test_200_slides(tmp_path, noise, name):
    path = tmp_path / name
    WRITERS[name](path, noise(540, 520))
    pieces = []

    def open_read_close():
        # in this process: what a worker leaves ends with it
        with open_slide(path, in_process=True) as slide:
            for level in slide.levels:
                np.asarray(level[:300, :300])
        pieces.append(weakref.ref(slide.levels[0]))

    for _ in range(WARM_UP):
        open_read_close()
    files, threads, memory = state()
    for _ in range(TIMES):
        open_read_close()
    files_after, threads_after, memory_after = state()
    assert files_after <= files
    # a library's pool may still be filling; a leak would add one for each slide
    assert threads_after <= threads + POOL_THREADS
    assert memory_after - memory < MAX_GROWTH_BYTES
    assert not any(piece() for piece in pieces)


@pytest.mark.skipif(psutil.WINDOWS, reason="no count of descriptors there")
@pytest.mark.parametrize("name", ["dicom.dcm", "leica.scn", "ventana.bif", "plain.tif"])
def test_slides_that_are_refused_leave_nothing(tmp_path, noise, name):
    from napari_her2.core.errors import SlideError

    path = tmp_path / name
    WRITERS[name](path, noise(540, 520))
    data = path.read_bytes()

    def fail(share):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(SlideError):
            open_slide(path)

    for share in (0.001, 0.1, 0.6, 0.97):
        fail(share)
    files = state()[0]
    for _ in range(10):
        for share in (0.001, 0.1, 0.6, 0.97):
            fail(share)
    assert state()[0] <= files
