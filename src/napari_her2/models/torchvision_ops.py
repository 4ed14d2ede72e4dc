"""Import torchvision beside a torch build it was not compiled for.

The registry's torchvision is compiled against a GPU build of torch. Beside a
CPU build its extension cannot be loaded, and since torchvision registers fake
kernels for two of that extension's operators while it is imported, the import
fails with "operator torchvision::nms does not exist". This project uses only
architectures, never those operators, so declaring them is enough. Where
torchvision loads by itself nothing is declared.

Every other module takes ``torchvision`` from here.
"""

from __future__ import annotations

import sys

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declare_missing_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    return library


try:
    import torchvision
except RuntimeError as error:
    if "torchvision::" not in str(error):
        raise
    # what was imported before the failure must be imported again, complete
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    # operators live as long as the library that declares them
    _library = _declare_missing_operators()
    import torchvision

__all__ = ["torchvision"]
