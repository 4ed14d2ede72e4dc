"""A detector of nuclei from a TorchScript file, as InstanSeg writes them.

InstanSeg (Goldsborough et al. 2024, arXiv 2408.15954) gives labels at once and keeps
its scale in the file. Whatever keeps its conventions runs: ``pixel_size``, µm per
pixel, is an attribute; the input is (1, 3, h, w), each channel from 0 at its 0.1 to 1
at its 99.9 percentile; the output is (1, n, h, w) labels, nuclei first. A TorchScript
file is a program: only what the reader names by its path is run, nothing is fetched.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from napari_her2.cells.detector import Detector, Labels
from napari_her2.core.errors import BundleError

MPP: Final = (0.1, 2.0)
"""Scales at which nuclei can be seen."""

_PERCENTILES: Final = (0.1, 99.9)
_LEAST_RANGE: Final = 1e-3
_GIVE: Final = "Give a TorchScript file that InstanSeg wrote."


@cache
def load_detector(path: Path) -> Detector:
    """Load a detector; the same path gives the same one.

    Raises
    ------
    BundleError
        If there is no such file, it is no TorchScript, or does not say its scale.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = "it cannot be read" if path.exists() else "there is no such file"
        raise BundleError(path, f"{problem}.", _GIVE) from error
    try:
        with warnings.catch_warnings():
            # torch advises another format to those who write the file
            warnings.simplefilter("ignore", DeprecationWarning)
            network: Any = torch.jit.load(  # type: ignore[no-untyped-call]
                io.BytesIO(content), map_location="cpu"
            )
            network.eval()
    except RuntimeError as error:
        raise BundleError(path, "it is no TorchScript.", _GIVE) from error
    mpp = getattr(network, "pixel_size", None)
    if not isinstance(mpp, float) or not MPP[0] <= mpp <= MPP[1]:
        problem = f"its pixel_size is {mpp}, not {MPP[0]:g} to {MPP[1]:g} µm per pixel."
        raise BundleError(path, problem, _GIVE)

    def find(image: NDArray[np.uint8]) -> Labels:
        return _find(network, path, image)

    return Detector(path.stem, hashlib.sha256(content).hexdigest(), mpp, find)


def _find(network: Any, path: Path, image: NDArray[np.uint8]) -> Labels:
    """Run a network on a picture and check what it gives."""
    low, high = np.percentile(image, _PERCENTILES, axis=(0, 1)) / 255
    scaled = (image / 255 - low) / np.maximum(high - low, _LEAST_RANGE)
    tensor = torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)[None]
    try:
        with torch.inference_mode():
            output = network(tensor.contiguous())
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise BundleError(path, f"it failed on a picture ({last}).", _GIVE) from error
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 4 or shape[0] != 1 or shape[2:] != image.shape[:2]:
        problem = f"it gave {shape or type(output).__name__}, not labels (1, n, h, w)."
        raise BundleError(path, problem, _GIVE)
    labels = output[0, 0].numpy()
    if not (
        math.isfinite(float(labels.sum()))
        and labels.min() >= 0
        and (labels == np.rint(labels)).all()
    ):
        raise BundleError(path, "it gave no labels (whole numbers from 0 on).", _GIVE)
    return np.asarray(labels, np.int32)
