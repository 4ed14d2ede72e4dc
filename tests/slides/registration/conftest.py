import imagecodecs
import numpy as np
import pytest
from tests.slides.registration.sections import MPP, SHAPE

from napari_her2.slides.slide import open_slide


@pytest.fixture(scope="session")
def inner_points_um():
    """Places well inside the tissue."""
    y, x = np.mgrid[0.3:0.7:6j, 0.3:0.7:6j]
    return np.stack([y * SHAPE[0], x * SHAPE[1]], -1).reshape(-1, 2) * MPP


@pytest.fixture
def make_flat_slide(tmp_path):
    """Write an image as PNG and open it; it knows no scale."""
    opened = []

    def make(image, name="slide.png"):
        path = tmp_path / f"{len(opened)}-{name}"
        path.write_bytes(imagecodecs.png_encode(image))
        opened.append(open_slide(path))
        return opened[-1]

    yield make
    for slide in opened:
        slide.close()
