"""Review HER2 in breast cancer with napari: AI assists, pathologist decides.

Importing this package loads neither Qt nor torch.
"""

from importlib.metadata import version

__version__ = version("napari-her2")

__all__ = ["__version__"]
