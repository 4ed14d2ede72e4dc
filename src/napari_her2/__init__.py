"""Review HER2 in breast cancer with napari: AI assists, pathologist decides.

Importing this package loads neither Qt nor torch.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    # asked for late: finding it takes longer than a slide's worker takes to start
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-her2")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
