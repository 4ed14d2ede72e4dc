"""Real images, where they are, and small written ones."""

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_her2.core.errors import SlideError

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("NAPARI_HER2_DATA", BESIDE))


@pytest.fixture
def real():
    """Return the path of a real file: in NAPARI_HER2_DATA, or beside the checkout."""

    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"no real image {name}")
        return path

    return find


@pytest.fixture
def noise():
    """Random RGB image: every pixel counts."""

    def make(height, width, channels=3, seed=0):
        rng = np.random.default_rng(seed)
        return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)

    return make


@pytest.fixture
def tiff(tmp_path):
    """Write an array as a TIFF and return its path."""

    def write(image, name="a.tif", **options):
        path = tmp_path / name
        options = {"photometric": "rgb", "metadata": None} | options
        tifffile.imwrite(path, image, **options)
        return path

    return write


@pytest.fixture
def stained():
    """A field of blobs in the colour of a stain, on glass."""
    densities = {
        "eosin": (0.10, 0.50, 0.25),
        "dab": (0.25, 0.45, 0.70),
        "haematoxylin": (0.38, 0.36, 0.24),
        "violet": (0.34, 0.43, 0.24),
    }

    def make(stain, strength=1.0, size=600):
        rng = np.random.default_rng(1)
        amount = rng.random((size, size, 1)) * strength
        amount[: size // 3] = 0
        density = amount * np.array(densities[stain])
        return np.clip(242 * 10**-density, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def without(monkeypatch):
    """Have packages be missing."""
    real = importlib.import_module

    def hide(*packages):
        def find(name, *args):
            if name.split(".")[0] in packages:
                raise ModuleNotFoundError(name)
            return real(name, *args)

        monkeypatch.setattr(importlib, "import_module", find)

    return hide


@pytest.fixture
def closing_waits():
    """Close a slide while its gate is held for reading: it waits, then refuses."""

    def check(slide, gate):
        with ThreadPoolExecutor(1) as pool:
            with gate.reading():
                closing = pool.submit(slide.close)
                with pytest.raises(TimeoutError):
                    closing.result(0.2)
            closing.result(5)
        slide.close()
        with pytest.raises(SlideError, match="closed"):
            slide.levels[0][:10, :10]

    return check
