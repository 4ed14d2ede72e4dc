"""Pairs of one's own: two folders of images, and perhaps a table of labels.

``he/`` and ``ihc/`` hold images of the same names (PNG or JPEG). ``labels.csv``
beside them may give ``name,label,slide``: the name with or without suffix, one
of the class names of :data:`KNOWN_CLASSES`, and the slide or patient, which may
be empty or left out as a column.
"""

from __future__ import annotations

import csv
from pathlib import Path

from napari_her2.core.errors import UsageError
from napari_her2.models.card import ZERO_OR_ULTRALOW
from napari_her2.training.pairs import (
    IMAGE_SUFFIXES,
    ImagePair,
    PairListing,
    PairProblem,
    matched_names,
    require_pairs,
)
from napari_her2.training.tiles import CLASSES

LABELS_NAME = "labels.csv"
KNOWN_CLASSES = (CLASSES[0], ZERO_OR_ULTRALOW, *CLASSES[1:])
"""Labels that are understood, in the order their classes get."""


def list_folder_pairs(path: Path) -> PairListing:
    """List the pairs in ``he`` and ``ihc`` under a folder.

    The classes are those that occur, in the order of :data:`KNOWN_CLASSES`.

    Raises
    ------
    UsageError
        If it holds fewer than two pairs, or ``labels.csv`` cannot be understood.
    """
    matched, problems = matched_names(path / "he", path / "ihc")
    table = _read_table(path / LABELS_NAME)
    pairs = []
    for name, he, ihc in matched:
        if table is None:
            pairs.append(ImagePair(name, he, ihc))
        elif name not in table:
            problems.append(PairProblem(name, f"it is not in {LABELS_NAME}"))
        else:
            label, slide = table[name]
            if label and label not in KNOWN_CLASSES:
                known = ", ".join(KNOWN_CLASSES)
                problems.append(
                    PairProblem(name, f"the label {label!r} is none of {known}")
                )
                continue
            pairs.append(ImagePair(name, he, ihc, label or None, slide or None))
    for name in sorted((table or {}).keys() - {name for name, _, _ in matched}):
        problems.append(
            PairProblem(name, f"it is in {LABELS_NAME}, but not in he and ihc")
        )
    seen = {pair.label for pair in pairs}
    classes = tuple(name for name in KNOWN_CLASSES if name in seen)
    warnings = []
    if {ZERO_OR_ULTRALOW, "0"} <= seen or {ZERO_OR_ULTRALOW, "0+"} <= seen:
        warnings.append(
            f"some labels are {ZERO_OR_ULTRALOW!r} and some tell 0 and 0+ apart."
        )
    if not any(pair.slide for pair in pairs):
        warnings.append(
            "no slide is given: patches of one patient may lie on both sides of the "
            f"split. Add a column slide to {LABELS_NAME}."
        )
    listing = PairListing(
        path.name, tuple(pairs), tuple(problems), classes, tuple(warnings)
    )
    return require_pairs(listing, path, "images of the same names in he and ihc")


def _read_table(path: Path) -> dict[str, tuple[str, str]] | None:
    """Return label and slide by name without suffix; None without a table."""
    if not path.exists():
        return None
    table: dict[str, tuple[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = set(reader.fieldnames or ())
            if not {"name", "label"} <= columns:
                raise _bad_table(path, "it has no columns name and label")
            for row in reader:
                name = (row["name"] or "").strip()
                if name.lower().endswith(IMAGE_SUFFIXES):
                    name = name.rsplit(".", 1)[0]
                if name in table:
                    raise _bad_table(path, f"{name} stands in it twice")
                table[name] = (
                    (row["label"] or "").strip(),
                    (row.get("slide") or "").strip(),
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _bad_table(path, f"it cannot be read ({error})") from error
    return table


def _bad_table(path: Path, problem: str) -> UsageError:
    return UsageError(f"{path}: {problem}.", "Give a table name,label,slide in UTF-8.")
