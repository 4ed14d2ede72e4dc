"""Features of images for FID, KID and MRA, from weights that the reader gives.

The only architecture is torchvision's ResNet50 up to its global pooling (2,048
features); its weights come as a local safetensors file with torchvision's names.
Which weights they are decides every number, so their hash is printed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from torchvision.models import resnet50

from napari_her2.core.errors import BundleError
from napari_her2.evaluation.feature_distance import FEWEST_FOR_FID, fid, kid, mra
from napari_her2.evaluation.image_similarity import Image
from napari_her2.evaluation.intervals import Floats

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class FeatureExtractor:
    """ResNet50 features of whole images.

    Images are resized to 256 px (bicubic), cut to the middle 224 px and normalised
    as for ImageNet, which is HistDiST's preprocessing for MRA.

    Parameters
    ----------
    path
        safetensors file; weights of the last layer are not needed.
    device
        Where to compute.

    Raises
    ------
    BundleError
        If the file is no such weights.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        network = resnet50()
        network.fc = nn.Identity()
        try:
            weights = load_file(path)
            network.load_state_dict(
                {k: v for k, v in weights.items() if not k.startswith("fc.")}
            )
            self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except (OSError, SafetensorError, RuntimeError) as error:
            raise BundleError(
                path,
                f"these are no ResNet50 weights ({str(error).splitlines()[0]}).",
                "Give torchvision's resnet50 as safetensors.",
            ) from error
        self.device = device
        self._network = network.to(device).requires_grad_(False).eval()

    def __call__(self, image: Image) -> Floats:
        """Return the features (2048,) of an image (h, w, 3)."""
        tensor = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        small = functional.interpolate(
            tensor.permute(2, 0, 1)[None].float() / 255,
            size=(256, 256),
            mode="bicubic",
            antialias=True,
        ).clamp(0, 1)[..., 16:240, 16:240]
        mean, std = (torch.tensor(v, device=self.device) for v in (_MEAN, _STD))
        with torch.inference_mode():
            features = self._network((small - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        return np.asarray(features[0].cpu(), np.float64)


def feature_scores(
    real: Sequence[Floats], fake: Sequence[Floats], sha256: str
) -> dict[str, Any]:
    """Return FID, KID and MRA of n pairs, with what must be printed beside them."""
    a, b = np.stack(real), np.stack(fake)
    return {
        "n_images": len(a),
        "fid": round(fid(a, b), 4),
        "fid_warning": f"fewer than {FEWEST_FOR_FID} images: biased upwards"
        if len(a) < FEWEST_FOR_FID
        else "",
        "kid": round(kid(a, b), 6) if len(a) > 1 else None,
        "kid_factor": 1,
        "mra_top_1": round(mra(a, b), 5),
        "mra_top_3": round(mra(a, b, top=3), 5),
        "mra_chance": round(1 / len(a), 5),
        "extractor": f"ResNet50, sha256 {sha256}",
    }
