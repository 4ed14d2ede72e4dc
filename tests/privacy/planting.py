"""Slides that say who the patient is, everywhere a file can say it."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
import zarr
from dicom_files import uids, write_instance
from mutations import write_ndpi
from scanner_files import write_bif, write_mrxs, write_scn

SECRETS = ("MUELLERANNA", "H24-0077123", "19610423", "SCANNERSS1302", "DRHOUSE")
"""A patient's name, an accession number, a date of birth, a scanner, a person."""

WORDS = " ".join(SECRETS)


def secrets_in(content: bytes | str) -> list[str]:
    """Return the secrets that some output holds, in any case and usual encoding."""
    data = content if isinstance(content, bytes) else content.encode()
    data = data.lower()
    return [
        secret
        for secret in SECRETS
        for encoding in ("utf-8", "utf-16-le", "utf-16-be")
        if secret.lower().encode(encoding) in data
    ]


def secrets_below(folder: Path) -> list[tuple[str, str]]:
    """Return (file, secret) of everything in a folder, names included."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() else b""
        found += [(name, secret) for secret in secrets_in(name.encode() + content)]
    return found


@dataclass(frozen=True)
class Planted:
    """A folder of slides named and filled with secrets."""

    folder: Path
    he: Path
    ihc: Path
    manifest: Path


def _tags() -> list[tuple[int, str, int, str, bool]]:
    """Artist, date, computer, document, page, software, copyright, unknown."""
    codes = (269, 285, 315, 316, 33432, 42112, 50900)
    tags = [(code, "s", 0, WORDS, True) for code in codes]
    return [*tags, (306, "s", 20, "1961:04:23 19610423", True)]


def _svs(path: Path, image: np.ndarray) -> None:
    about = (
        "Aperio Image Library v12.0.15\r\n600x480 (256x256) JPEG/RGB Q=90"
        f"|AppMag = 20|MPP = 0.5|ScanScope ID = {SECRETS[3]}|Filename = {WORDS}"
        f"|Title = {WORDS}|Date = {SECRETS[2]}|User = {SECRETS[4]}|Accession = "
        f"{SECRETS[1]}|CustomField.First_Name = {SECRETS[0]}|DSR ID = {WORDS}"
    )
    tiles = {"tile": (256, 256), "compression": "jpeg", "metadata": None}
    tiles |= {"photometric": "rgb", "extratags": _tags(), "software": WORDS}
    strips = {"rowsperstrip": 16, "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(image, description=about, **tiles)
        tiff.write(image[::8, ::8], description=about, **strips)
        for name in ("label", "macro"):
            words = f"Aperio Image Library v12.0.15\r\n{name} 60x75 {WORDS}"
            tiff.write(image[::8, ::8], description=words, subfiletype=1, **strips)


def _ndpi(path: Path, image: np.ndarray) -> None:
    words = [(code, WORDS.encode()) for code in (65427, 65442, 65449)]
    write_ndpi(path, image, words)


def _ome(path: Path, image: np.ndarray) -> None:
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    about |= {"Name": WORDS, "Description": WORDS, "Creator": WORDS}
    about |= {"MapAnnotation": {"Patient": WORDS}, "Channel": {"Name": WORDS}}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(
            image,
            metadata=about,
            photometric="rgb",
            tile=(256, 256),
            software=WORDS,
            extratags=_tags(),
        )


def _tiff(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(
        path,
        image,
        photometric="rgb",
        tile=(256, 256),
        description=WORDS,
        metadata=None,
        software=WORDS,
        extratags=_tags(),
    )


def _png(path: Path, image: np.ndarray) -> None:
    data = imagecodecs.png_encode(image)
    text = b""
    for kind, body in (
        (b"tEXt", b"Author\0" + WORDS.encode()),
        (b"iTXt", b"Title\0\0\0\0\0" + WORDS.encode()),
        (b"eXIf", _exif()),
    ):
        chunk = kind + body
        text += struct.pack(">I", len(body)) + chunk
        text += struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + text + data[33:])


def _jpeg(path: Path, image: np.ndarray) -> None:
    data = imagecodecs.jpeg_encode(image, level=95)
    text = b""
    for marker, body in ((0xFE, WORDS.encode()), (0xE1, b"Exif\0\0" + _exif())):
        text += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    path.write_bytes(data[:2] + text + data[2:])


def _exif() -> bytes:
    words = WORDS.encode() + b"\0"
    return b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 270, 2, len(words), 26, 0) + words


def _zarr(path: Path, image: np.ndarray) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    array = group.create_array(
        WORDS, shape=image.shape, dtype="uint8", chunks=image.shape
    )
    array[:] = image
    array.attrs["patient"] = WORDS
    scale = [{"type": "scale", "scale": [0.5, 0.5, 1]}]
    axes = [{"name": axis, "unit": "micrometer"} for axis in "yx"]
    datasets = [{"path": WORDS, "coordinateTransformations": scale}]
    image_about = {
        "name": WORDS,
        "axes": [*axes, {"name": "c"}],
        "datasets": datasets,
        "metadata": {"patient": WORDS},
    }
    group.attrs.update({"ome": {"multiscales": [image_about]}, "patient": WORDS})


def _dicom(path: Path, image: np.ndarray) -> None:
    path.mkdir()
    told = {
        "PatientName": WORDS, "PatientID": SECRETS[1], "PatientBirthDate": SECRETS[2],
        "AccessionNumber": SECRETS[1], "DeviceSerialNumber": SECRETS[3],
        "OperatorsName": SECRETS[4], "StudyDescription": WORDS,
        "SeriesDescription": WORDS, "ImageComments": WORDS, "LabelText": WORDS,
        "ContainerIdentifier": WORDS, "BarcodeValue": WORDS,
    }  # fmt: skip
    (series,) = uids(1)
    for index, level in enumerate((image, np.ascontiguousarray(image[::2, ::2]))):
        spacing_mm = 0.0005 * 2**index
        name = path / f"{WORDS} {index}.dcm"
        write_instance(name, level, series, spacing_mm=spacing_mm, **told)


def _mrxs(path: Path, image: np.ndarray) -> None:
    write_mrxs(path, image, tile=120, words=WORDS)


def _scn(path: Path, image: np.ndarray) -> None:
    write_scn(path, [image], glass=1.1, words=WORDS)


def _bif(path: Path, image: np.ndarray) -> None:
    tile = 64 * -(-max(image.shape) // 128)
    pad = [(0, 2 * tile - side) for side in image.shape[:2]]
    padded = np.pad(image, [*pad, (0, 0)], mode="edge")
    write_bif(path, padded, mpp=0.5, tile=tile, words=WORDS)


WRITERS = {
    "SVS": (".svs", _svs),
    "NDPI": (".ndpi", _ndpi),
    "OME-TIFF": (".ome.tif", _ome),
    "TIFF": (".tif", _tiff),
    "PNG": (".png", _png),
    "JPEG": (".jpg", _jpeg),
    "OME-Zarr": (".zarr", _zarr),
    "DICOM": ("", _dicom),
    "MRXS": (".mrxs", _mrxs),
    "SCN": (".scn", _scn),
    "BIF": (".bif", _bif),
}
"""One entry per format; a new format is one more."""
