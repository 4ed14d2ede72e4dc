import numpy as np
import pytest

from napari_her2.slides.pyramid_writer import write_pyramid


@pytest.fixture
def scaleless_slide(tmp_path):
    """A small H&E-coloured slide that does not know its µm per pixel."""
    rng = np.random.default_rng(0)
    image = rng.normal((200, 120, 180), 12, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    path = tmp_path / "he.tif"
    write_pyramid(
        path, (300, 400), None, lambda box: image[box.y0 : box.y1, box.x0 : box.x1]
    )
    return path
