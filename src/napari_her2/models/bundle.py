"""Model bundles: a folder with ``card.json`` and safetensors weights.

Everything is verified before a weight is used, and verifying needs no torch.
Nothing is ever unpickled: a pickle in the folder refuses the whole bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_her2.core.errors import BundleError
from napari_her2.models.card import Card, read_card

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Bundle",
    "Card",
    "copy_bundle",
    "load_bundle",
    "shipped_bundle",
    "write_bundle",
]

CARD_NAME = "card.json"
_WEIGHTS = ".safetensors"
_CLASSES = "classes"
_TEXT = (".csv", ".json", ".md", ".txt")
_PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib")
_PICKLE_MAGIC = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_NEXT_STEP = "Choose another bundle, or fetch this one again from its source."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    ``sha256`` (of the card, which holds the hash of every other file) is its
    identity in results and exports.
    """

    path: Path
    card: Card
    sha256: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts whose weights it holds."""
        files = (PurePath(name) for name in self.card.files)
        return tuple(file.stem for file in files if file.suffix == _WEIGHTS)

    def has_part(self, part: str) -> bool:
        """Whether the bundle holds the weights of a part."""
        return f"{part}{_WEIGHTS}" in self.card.files

    def weights_path(self, part: str) -> Path:
        """Return the safetensors file of a part, for example ``classifier``.

        Raises
        ------
        BundleError
            If the bundle has no such part.
        """
        if not self.has_part(part):
            raise _refused(self.path, f"the bundle has no weights for the {part}.")
        return self.path / f"{part}{_WEIGHTS}"


def shipped_bundle(name: str = "demo") -> Path:
    """Return the folder of a bundle that comes with the package."""
    return Path(__file__).parents[1] / "bundles" / name


def load_bundle(path: Path | str) -> Bundle:
    """Verify a bundle and return it; weights are read later, by part.

    Raises
    ------
    BundleError
        If the folder or its card is missing or wrong, a file is not listed, is
        a pickle, has another hash, escapes the folder, is of an unknown format,
        holds a weight that is not a finite number, or was written with another
        list of classes.
    """
    path = Path(path)
    if not path.is_dir():
        raise _refused(path, "this is not a bundle folder.")
    _refuse_strangers(path)
    card_path = path / CARD_NAME
    card = read_card(card_path)
    for name, digest in card.files.items():
        _verify_file(path, name, digest)
        _verify_classes(path, name, card)
    listed = {CARD_NAME, *card.files}
    for file in path.iterdir():
        if file.name not in listed:
            raise _refused(path, f"{file.name} is not listed in the card.")
    return Bundle(path, card, _sha256(card_path))


def write_bundle(
    folder: Path,
    card: Card,
    state_dicts: Mapping[str, Mapping[str, Tensor]],
    texts: Mapping[str, str] | None = None,
) -> Bundle:
    """Write weights (one file per part), text files and card, and verify them.

    The files appear in the folder only when all are complete; ``card.files`` is
    filled in.

    Raises
    ------
    BundleError
        If the folder cannot be written, or what was written is refused.
    """
    from safetensors.torch import save

    contents = {
        f"{part}{_WEIGHTS}": save(
            {name: tensor.detach().contiguous() for name, tensor in state.items()},
            {_CLASSES: json.dumps(card.classes)},
        )
        for part, state in state_dicts.items()
    }
    contents |= {name: text.encode() for name, text in (texts or {}).items()}
    files = {n: hashlib.sha256(c).hexdigest() for n, c in sorted(contents.items())}
    contents[CARD_NAME] = (replace(card, files=files).to_json() + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            # the card goes last: without it the folder is no bundle
            for name, content in contents.items():
                (Path(scratch) / name).write_bytes(content)
                os.replace(Path(scratch) / name, folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return load_bundle(folder)


def copy_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """Copy a verified bundle into an empty or new folder and verify the copy.

    Raises
    ------
    BundleError
        If the folder holds anything, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(folder, "it is not an empty folder.", "Choose another one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # the card goes last: without it the folder is no bundle
        for name in (*bundle.card.files, CARD_NAME):
            shutil.copyfile(bundle.path / name, folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return load_bundle(folder)


def _refuse_strangers(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _PICKLE_SUFFIXES:
            raise _refused(folder, f"{file.name} is a pickle, which can run code.")
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as stream:
                head = stream.read(9)
            # a header of 640 bytes, say, makes a safetensors file begin as a pickle
            is_header = file.suffix == _WEIGHTS and head[8:] == b"{"
            if head.startswith(_PICKLE_MAGIC) and not is_header:
                raise _refused(folder, f"{file.name} is a pickle or an archive.")


def _verify_file(folder: Path, name: str, digest: str) -> None:
    file = folder / name
    if PurePath(name).name != name or name in ("..", CARD_NAME) or "\\" in name:
        raise _refused(folder, f"{name!r} points outside the bundle.")
    if file.is_symlink() and file.resolve().parent != folder.resolve():
        raise _refused(folder, f"{name!r} points outside the bundle.")
    if not file.is_file():
        raise _refused(folder, f"{name} is listed in the card but missing.")
    if _sha256(file) != digest:
        raise _refused(folder, f"{name} was changed: its SHA-256 differs.")
    if file.suffix == _WEIGHTS:
        _verify_weights(folder, file)
    elif file.suffix not in _TEXT:
        raise _refused(folder, f"{name} is neither safetensors nor text.")


def _verify_weights(folder: Path, file: Path) -> None:
    try:
        with safe_open(file, framework="numpy") as weights:
            for key in weights.keys():  # noqa: SIM118  (no mapping)
                if not np.isfinite(weights.get_tensor(key)).all():
                    raise _refused(
                        folder, f"{file.name}: {key} holds values that are not finite."
                    )
    except (SafetensorError, TypeError, ValueError) as error:
        raise _refused(
            folder, f"{file.name} is not a safetensors file ({error})."
        ) from error


def _verify_classes(folder: Path, name: str, card: Card) -> None:
    """Refuse weights that were written for other classes than the card names."""
    if not name.endswith(_WEIGHTS):
        return
    with safe_open(folder / name, framework="numpy") as weights:
        written = (weights.metadata() or {}).get(_CLASSES)
    if written is not None and written != json.dumps(card.classes):
        raise _refused(
            folder,
            f"{name} was made for the classes {written}, the card names "
            f"{json.dumps(card.classes)}.",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unwritable(folder: Path, error: OSError) -> BundleError:
    return BundleError(
        folder, f"the bundle cannot be written ({error}).", "Choose another folder."
    )


def _refused(folder: Path, problem: str) -> BundleError:
    return BundleError(folder, problem, _NEXT_STEP)
