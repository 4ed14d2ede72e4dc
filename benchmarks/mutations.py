"""Small slides of every format, and damage that knows how each is built.

Blind damage (bits, cuts, runs of zeros) is the same for all; a format adds what
its own structure allows: directories in a circle, huge dimensions, empty tiles,
lengths that lie. A seed always makes the same file.
"""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import tifffile
import zarr
from damage import NUMBERS, one, put
from mutations_foreign import (
    damage_dicom,
    damage_mrxs,
    damage_words,
    write_dicom,
    write_small_bif,
    write_small_mrxs,
    write_small_scn,
)
from numpy.random import Generator
from numpy.typing import NDArray

Damage = Callable[[bytearray, Generator], None]


@dataclass(frozen=True, slots=True)
class Format:
    """How to write a small sound slide, and how to damage it.

    Parameters
    ----------
    name
        Name of the file; a format is told by its content, NDPI by its name too.
    write
        Writes the sound slide (a file or a folder) at a path.
    damage
        Structural damage to the bytes of a file.
    shape
        Height and width of the sound slide.
    """

    name: str
    write: Callable[[Path], None]
    damage: Damage
    shape: tuple[int, int] = (70, 90)


def mutate(form: Format, sound: Path, target: Path, seed: int) -> None:
    """Write the damaged slide of a seed, in place of what is at ``target``."""
    rng = np.random.default_rng(seed)
    files = _copied(sound, target)
    if files == [target]:
        target.write_bytes(_damaged(form, sound.read_bytes(), rng))
        return
    about = [path for path in files if _tells(path)] or files
    for _ in range(rng.integers(1, 4)):
        # half of the damage hits the few files that say how the rest is read
        path = one(rng, about if rng.random() < 0.5 else files)
        if not path.exists():
            continue
        if rng.random() < 0.05:
            path.unlink()
        else:
            path.write_bytes(_damaged(form, path.read_bytes(), rng))


def _copied(sound: Path, target: Path) -> list[Path]:
    """Copy a slide with the folder beside it, if there is one; return its files."""
    files = []
    beside = sound.with_suffix(""), target.with_suffix("")
    for source, goal in {(sound, target), beside}:
        if goal.is_dir():
            shutil.rmtree(goal)
        if source.is_dir():
            shutil.copytree(source, goal)
            files += [path for path in goal.rglob("*") if path.is_file()]
        elif source == sound:
            shutil.copyfile(source, goal)
            files.append(goal)
    return sorted(files)


def _tells(path: Path) -> bool:
    """Whether a file says how the others are read."""
    return (
        path.suffix in (".json", ".ini", ".dcm")
        or path.name[0] == "."
        or path.name == "Index.dat"
    )


def _damaged(form: Format, data: bytes, rng: Generator) -> bytes:
    mutated = bytearray(data)
    kind = rng.random()
    if kind < 0.55:
        for _ in range(rng.integers(1, 4)):
            form.damage(mutated, rng)
    if kind > 0.45:
        _blind(mutated, rng)
    return bytes(mutated)


def _blind(data: bytearray, rng: Generator) -> None:
    """Flip bits, set bytes, cut, clear, double or fill in."""
    if not data:
        return
    kind = rng.integers(6)
    at = int(rng.integers(len(data)))
    size = int(min(len(data) - at, rng.integers(1, 64)))
    if kind <= 1:
        span = len(data) if kind == 0 else min(len(data), 400)
        for place in rng.integers(0, span, rng.integers(1, 9)):
            data[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = one(rng, (0, 1, 0x7F, 0xFF, int(rng.integers(256))))
    elif kind == 3:
        del data[at:]
    elif kind == 4:
        data[at : at + size] = bytes(size)
    else:
        data[at:at] = data[at : at + size] or rng.bytes(size)


def damage_tiff(data: bytearray, rng: Generator) -> None:
    """Damage one tag or link of a directory, classic or BigTIFF."""
    layout = _tiff_layout(data)
    entries, links = _walk(data, layout)
    if not entries:
        return
    order, _, width = layout
    if rng.random() < 0.15:
        goals = (*links, 0, 8, 16, len(data) - 1, len(data), (1 << 32) - 1)
        put(data, order, width, one(rng, links), one(rng, goals))
        return
    at, code, kind, count, value_at = one(rng, entries)
    n_head = 4 + width
    what = rng.random()
    if what < 0.15:
        struct.pack_into(order + "H", data, at + 2, int(rng.integers(0, 20)))
    elif what < 0.35:
        put(data, order, width, at + 4, one(rng, NUMBERS))
    elif what < 0.45 or value_at == at + n_head:
        put(data, order, width, at + n_head, one(rng, NUMBERS))
    elif code in (325, 279):  # byte counts: none, or far too many
        step = {3: 2, 4: 4, 16: 8}.get(kind, 4)
        for _ in range(int(rng.integers(1, 1 + min(count, 8)))):
            place = value_at + step * int(rng.integers(count))
            put(data, order, step, place, one(rng, NUMBERS))
    else:
        put(data, order, 4, value_at, one(rng, NUMBERS))


def _tiff_layout(data: bytearray) -> tuple[str, int, int]:
    """Return the byte order, where the first link stands and how wide links are."""
    order = ">" if data[:2] == b"MM" else "<"
    is_big = data[2:4] in (b"+\0", b"\0+")
    return order, 8 if is_big else 4, 8 if is_big else 4


def _walk(
    data: bytearray, layout: tuple[str, int, int]
) -> tuple[list[tuple[int, int, int, int, int]], list[int]]:
    """Return (place, code, type, count, place of value) of tags, places of links."""
    order, first, width = layout
    size, count_format = (8 + width + width - 4, "Q" if width == 8 else "H")
    number = "Q" if width == 8 else "I"
    entries, links, link = [], [first], first
    try:
        for _ in range(16):
            (at,) = struct.unpack_from(order + number, data, link)
            if at == 0:
                break
            (n_tags,) = struct.unpack_from(order + count_format, data, at)
            at += struct.calcsize(order + count_format)
            for _ in range(min(n_tags, 64)):
                code, kind, count = struct.unpack_from(order + "HH" + number, data, at)
                n_bytes = {3: 2, 4: 4, 5: 8, 16: 8}.get(kind, 1) * count
                place = at + 4 + width
                if n_bytes > width:
                    (place,) = struct.unpack_from(order + number, data, place)
                entries.append((at, code, kind, max(count, 1), place))
                at += size
            link = at
            links.append(link)
    except (struct.error, OverflowError):
        pass
    return entries, links


def _damage_tiff_words(data: bytearray, rng: Generator) -> None:
    """Damage a directory, or a number in the text that a scanner left."""
    (damage_tiff if rng.random() < 0.5 else damage_words)(data, rng)


def damage_png(data: bytearray, rng: Generator) -> None:
    """Change a chunk and make its checksum right again."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            break
        chunks.append((at, size))
        at += 12 + size
    if not chunks:
        return
    at, size = chunks[0] if rng.random() < 0.5 else one(rng, chunks)
    what = rng.random()
    if what < 0.2:
        struct.pack_into(">I", data, at, one(rng, NUMBERS))
        return
    if at == 8 and what < 0.7:
        struct.pack_into(">I", data, at + 8 + 4 * (what < 0.45), one(rng, NUMBERS))
    elif size:
        place = at + 8 + int(rng.integers(size))
        data[place] = int(rng.integers(256))
    crc = zlib.crc32(data[at + 4 : at + 8 + size])
    struct.pack_into(">I", data, at + 8 + size, crc)


def damage_jpeg(data: bytearray, rng: Generator) -> None:
    """Change a length, the sizes of the frame, or a table."""
    at = 2
    segments = []
    while at + 4 < len(data) and data[at] == 0xFF:
        (size,) = struct.unpack_from(">H", data, at + 2)
        segments.append((at, data[at + 1], size))
        if data[at + 1] == 0xDA:
            break
        at += 2 + max(size, 2)
    if not segments:
        return
    at, marker, size = one(rng, segments)
    if marker in (0xC0, 0xC2) and rng.random() < 0.7:
        place, value = at + 5 + 2 * int(rng.integers(2)), one(rng, NUMBERS)
        struct.pack_into(">H", data, place, value & 0xFFFF)
    elif rng.random() < 0.3:
        struct.pack_into(">H", data, at + 2, one(rng, NUMBERS) & 0xFFFF)
    elif rng.random() < 0.2:
        data[at + 1] = 0xC0 + int(rng.integers(0x40))
    else:
        place = at + 4 + int(rng.integers(max(size - 2, 1)))
        if place < len(data):
            data[place] = int(rng.integers(256))


_VALUES: Final = (
    None, True, 0, -1, 1 << 40, 1e308, "", "../..", "/", "ÿ", [], {}, [[]],
    "pickle", "|O", "<u2", ["0"], [-1, 3], [1 << 30] * 3,
)  # fmt: skip


def damage_json(data: bytearray, rng: Generator) -> None:
    """Put a foreign value somewhere into metadata; damage anything else blindly."""
    try:
        content = json.loads(bytes(data))
    except ValueError:
        if rng.random() < 0.2:
            data.clear()  # a chunk of no bytes
        return
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = one(rng, keys)
        if not isinstance(place[key], dict | list) or rng.random() < 0.15:
            place[key] = one(rng, _VALUES)
            break
        place = place[key]
    data[:] = json.dumps(content).encode()


def damage_zip(data: bytearray, rng: Generator) -> None:
    """Damage one file in a zip and pack it again; also sizes that lie."""
    folder = Path(tempfile_name(rng))
    try:
        _repack(data, rng, folder)
    except (zipfile.BadZipFile, ValueError, OSError, KeyError, NotImplementedError):
        return  # an earlier blow has broken it already
    finally:
        folder.unlink(missing_ok=True)


def tempfile_name(rng: Generator) -> str:
    """Return a name for a file that nobody else writes."""
    import tempfile

    return f"{tempfile.gettempdir()}/mutated-{rng.integers(1 << 62)}.zip"


def _repack(data: bytearray, rng: Generator, path: Path) -> None:
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        files = {name: archive.read(name) for name in names}
    chosen = one(rng, [name for name in names if "/.z" in name or name[0] == "."])
    chosen = chosen if rng.random() < 0.7 else one(rng, names)
    damaged = bytearray(files[chosen])
    damage_json(damaged, rng)
    files[chosen] = bytes(damaged)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            name = f"../{name}" if rng.random() < 0.02 else name
            archive.writestr(name, content)
    data[:] = path.read_bytes()


def _noise(height: int = 70, width: int = 90) -> NDArray[np.uint8]:
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def _write_tiff(**options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        given = {"photometric": "rgb", "metadata": None} | options
        tifffile.imwrite(path, _noise(), **given)

    return write


def write_svs(path: Path) -> None:
    """Write what a scanner of Aperio leaves: levels, thumbnail, label and macro."""
    about = (
        "Aperio Image Library v12.0.15\r\n90x70 [0,0 90x70] (32x32) JPEG/RGB Q=70"
        "|AppMag = 20|MPP = 0.4990"
    )
    image = _noise()
    tiles = {"tile": (32, 32), "compression": "jpeg", "photometric": "rgb"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(image, description=about, metadata=None, **tiles)
        strips = {"rowsperstrip": 16, "photometric": "rgb", "metadata": None}
        tiff.write(image[::4, ::4], description=about, **strips)
        tiff.write(image[::2, ::2], description=about, metadata=None, **tiles)
        for name in ("label", "macro"):
            words = f"Aperio Image Library v12.0.15\r\n{name} 22x17"
            tiff.write(image[:17, :22], description=words, subfiletype=1, **strips)


def write_ome(path: Path) -> None:
    """Write an OME-TIFF with a second level in a SubIFD."""
    image = _noise()
    options = {"tile": (32, 32), "compression": "zlib", "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tiff.write(image, subifds=1, metadata=about, **options)
        tiff.write(image[::2, ::2], subfiletype=1, **options)


def write_ndpi(
    path: Path,
    image: NDArray[np.uint8] | None = None,
    words: Sequence[tuple[int, bytes]] = (),
) -> None:
    """Write two levels as Hamamatsu does: JPEG strips, links of 64 bits.

    ``words`` are further tags of text, with codes above 65421.
    """
    data = bytearray(b"II*\0" + struct.pack("<Q", 12))
    image = _noise() if image is None else image
    images = [image, image[::2, ::2]]
    for index, image in enumerate(images):
        stream = imagecodecs.jpeg_encode(np.ascontiguousarray(image), level=90)
        height, width = image.shape[:2]
        tags = [
            (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 7), (262, 3, 6),
            (271, 2, b"Hamamatsu\0"), (273, 4, "pixels"), (277, 3, 3),
            (278, 4, height), (279, 4, len(stream)), (282, 5, (20000, 1)),
            (283, 5, (20000, 1)), (296, 3, 3), (65420, 4, 1),
            (65421, 11, 20.0 / (index + 1)),
            *((code, 2, word + bytes(5)) for code, word in words),
        ]  # fmt: skip
        # behind the link stand the upper halves of all values
        extra_at = len(data) + 2 + 12 * len(tags) + 8 + 4 * len(tags)
        body, extra = bytearray(), bytearray()
        for code, kind, value in tags:
            count, packed = 1, b""
            if isinstance(value, bytes):
                count, packed = len(value), value
            elif isinstance(value, tuple):
                packed = struct.pack("<II", *value)
            elif isinstance(value, float):
                packed = struct.pack("<f", value)
            elif value != "pixels":
                packed = struct.pack("<I", value)
            if len(packed) > 4:
                place = extra_at + len(extra)
                extra += packed
                packed = struct.pack("<I", place)
            body += struct.pack("<HHI", code, kind, count)
            if value == "pixels":
                place_at = len(body)
                body += bytes(4)
            else:
                body += packed.ljust(4, b"\0")
        struct.pack_into("<I", body, place_at, extra_at + len(extra))
        end = extra_at + len(extra) + len(stream)
        link = 0 if index == len(images) - 1 else end
        data += struct.pack("<H", len(tags)) + body + struct.pack("<Q", link)
        data += bytes(4 * len(tags)) + extra + stream
    path.write_bytes(data)


def damage_ndpi(data: bytearray, rng: Generator) -> None:
    """Damage a tag of the first directory, or a link of 64 bits."""
    (n_tags,) = struct.unpack_from("<H", data, 12)
    if rng.random() < 0.2:
        goals = (0, 12, 14, len(data), (1 << 32) - 1, (1 << 63) + 1)
        place = 4 if rng.random() < 0.3 else 14 + 12 * min(n_tags, 15)
        put(data, "<", 8, place, one(rng, goals))
        return
    at = 14 + 12 * int(rng.integers(min(max(n_tags, 1), 15)))
    put(data, "<", 4, at + one(rng, (0, 4, 8, 8, 8)), one(rng, NUMBERS))


def _write_zarr(path: Path, version: int) -> None:
    image = _noise()
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    datasets = []
    for index in range(2):
        level = image[:: 2**index, :: 2**index].transpose(2, 0, 1)
        array = group.create_array(
            str(index), shape=level.shape, dtype="uint8", chunks=(3, 40, 48)
        )
        array[:] = level
        scale = [{"type": "scale", "scale": [1, 0.5 * 2**index, 0.5 * 2**index]}]
        datasets.append({"path": str(index), "coordinateTransformations": scale})
    axes = [{"name": "c"}, *({"name": a, "unit": "micrometer"} for a in "yx")]
    about = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs.update(about if version == 2 else {"ome": about})


def write_zip(path: Path) -> None:
    """Write an OME-Zarr 0.4 into a zip."""
    folder = path.with_name("to_zip.zarr")
    _write_zarr(folder, 2)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    shutil.rmtree(folder)


def write_png(path: Path) -> None:
    """Write a PNG."""
    path.write_bytes(imagecodecs.png_encode(_noise()))


def write_jpeg(path: Path) -> None:
    """Write a JPEG."""
    path.write_bytes(imagecodecs.jpeg_encode(_noise(), level=90))


_JPEG_TILES: Final = {"tile": (32, 32), "compression": "jpeg"}
_JPEG_2000: Final = {"tile": (32, 32), "compression": "jpeg2000"}
_BIG: Final = {"tile": (32, 32), "compression": "lzw", "bigtiff": True}

FORMATS: Final = {
    "TIFF, strips": Format("a.tif", _write_tiff(rowsperstrip=16), damage_tiff),
    "TIFF, JPEG tiles": Format("a.tif", _write_tiff(**_JPEG_TILES), damage_tiff),
    "TIFF, JPEG 2000": Format("a.tif", _write_tiff(**_JPEG_2000), damage_tiff),
    "BigTIFF": Format("a.tif", _write_tiff(**_BIG), damage_tiff),
    "SVS": Format("a.svs", write_svs, damage_tiff),
    "NDPI": Format("a.ndpi", write_ndpi, damage_ndpi),
    "OME-TIFF": Format("a.ome.tif", write_ome, damage_tiff),
    "OME-Zarr 0.4": Format("a.zarr", lambda path: _write_zarr(path, 2), damage_json),
    "OME-Zarr 0.5": Format("a.zarr", lambda path: _write_zarr(path, 3), damage_json),
    "OME-Zarr, zip": Format("a.zarr.zip", write_zip, damage_zip),
    "PNG": Format("a.png", write_png, damage_png),
    "JPEG": Format("a.jpg", write_jpeg, damage_jpeg),
    "DICOM": Format("a", lambda path: write_dicom(path, "raw"), damage_dicom),
    "DICOM, JPEG": Format("a", lambda path: write_dicom(path, "jpeg"), damage_dicom),
    "MRXS": Format("a.mrxs", write_small_mrxs, damage_mrxs, (128, 128)),
    "SCN": Format("a.scn", write_small_scn, _damage_tiff_words, (140, 180)),
    "BIF": Format("a.bif", write_small_bif, _damage_tiff_words, (128, 128)),
}
"""One entry per format; a new format is one more."""
