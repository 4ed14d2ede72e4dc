import subprocess
import sys


def _run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_torchvision_imports_beside_this_torch():
    code = (
        "from napari_her2.models.torchvision_ops import torchvision;"
        "print(type(torchvision.models.resnet18()).__name__)"
    )
    assert _run(code) == "ResNet"


def test_nothing_is_declared_where_torchvision_loads_by_itself():
    # operators that are there before the import stand for a working extension
    code = (
        "import torch;"
        "lib = torch.library.Library('torchvision', 'DEF');"
        "args = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor';"
        "lib.define('nms' + args); lib.define('qnms' + args);"
        "from napari_her2.models import torchvision_ops;"
        "print(hasattr(torchvision_ops, '_library'))"
    )
    assert _run(code) == "False"
