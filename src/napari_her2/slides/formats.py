"""Tell a slide's format by its content and open it with the module that knows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from napari_her2.core.errors import SlideError
from napari_her2.slides.colour import in_srgb
from napari_her2.slides.dicom_header import is_dicom
from napari_her2.slides.dicom_series import holds_dicom
from napari_her2.slides.openslide_files import is_foreign
from napari_her2.slides.shared_file import SharedFile
from napari_her2.slides.source import SlideSource
from napari_her2.slides.tiff_scan import is_tiff

_READABLE: Final = (
    "SVS, NDPI, TIFF, OME-TIFF, OME-Zarr, DICOM, MRXS, SCN, BIF, PNG and JPEG can "
    "be read."
)


def open_source(path: Path, *, use_profile: bool = False) -> SlideSource:
    """Open a slide file, or a folder that is an OME-Zarr image or a DICOM slide.

    Parameters
    ----------
    use_profile
        Whether colours are brought to sRGB where the file has an ICC profile.

    Raises
    ------
    SlideError
        If it is missing, unreadable, damaged or of no known format.
    """
    source = _opened(path)
    return in_srgb(source) if use_profile else source


def _opened(path: Path) -> SlideSource:
    if _is_folder(path):
        from napari_her2.slides.ome_zarr import is_zarr_folder, open_zarr

        if is_zarr_folder(path):
            return open_zarr(path)
        if holds_dicom(path):
            from napari_her2.slides.dicom_slide import open_dicom

            return open_dicom(path)
        raise SlideError(
            path,
            "it is a folder and no OME-Zarr image, nor one with DICOM files.",
            "Open a slide inside it.",
        )
    file = SharedFile(path)
    try:
        head = file.read(0, min(file.size, 132))
    finally:
        file.close()
    if not head:
        raise SlideError(
            path, "the file is empty (0 bytes).", "Copy or export it again."
        )
    return _opener(path, head)(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", "") or type(error).__name__
        raise SlideError(
            path, f"it cannot be opened ({why}).", "Check the path."
        ) from error


def _opener(path: Path, head: bytes) -> Callable[[Path], SlideSource]:
    if is_tiff(head):
        from napari_her2.slides.tiff_file import open_tiff

        return open_tiff
    if is_foreign(path, head):
        from napari_her2.slides.openslide_slide import open_openslide

        return open_openslide
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        from napari_her2.slides.flat_image import open_flat

        return open_flat
    if head.startswith(b"PK\x03\x04"):
        from napari_her2.slides.ome_zarr import open_zarr

        return open_zarr
    if is_dicom(head):
        from napari_her2.slides.dicom_slide import open_dicom

        return open_dicom
    raise SlideError(path, "it is no slide image.", _READABLE)
