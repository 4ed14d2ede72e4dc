"""The card of a model bundle: what it is, what it was trained on, what it scored.

A card is a JSON object with exactly the fields of :class:`Card` and a schema
line; anything else is refused, so that a typing error cannot pass unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_her2.core.errors import BundleError
from napari_her2.core.score import Score

SCHEMA = "napari-her2/bundle/2"
INTENDED_USE = "research use only"
NO_TUMOUR = "no invasive tumour"
"""The class of a tile that holds no invasive tumour and takes part in no score."""
ZERO_OR_ULTRALOW = "0 or 0+, not separated"
"""The lowest class of data sets whose labels know no 0+, such as BCI."""

_NEXT_STEP = "Choose another bundle, or write this one again with the training command."


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader and the engine must know about a bundle.

    Parameters
    ----------
    name, version
        What the bundle is called.
    trained_on
        The training data in plain words.
    mpp
        µm per pixel of the tiles the networks take.
    core_px, halo_px
        Side of the part of a tile that is kept, and margin around it.
    inputs, outputs
        Stains taken (``he``, ``ihc``) and results given.
    classes
        One name per logit; :data:`NO_TUMOUR` takes part in no score.
    files
        Name and SHA-256 (hex) of every other file of the bundle.
    licence, intended_use
        Terms; the use is always :data:`INTENDED_USE`.
    parameters
        ``network``, the fields of ``NetworkConfig``, and ``attention_scale``;
        where the bundle has them ``policy`` (gan, shared or zero),
        ``calibration``, ``gate``, ``familiarity`` and ``backends``.
    training_command, seed
        What makes this bundle again.
    scores
        What it was measured to do, with the number of tiles and slides.
    """

    name: str
    version: str
    trained_on: str
    mpp: float
    core_px: int
    halo_px: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    classes: tuple[str, ...]
    files: Mapping[str, str]
    licence: str
    intended_use: str
    parameters: Mapping[str, Any]
    training_command: str
    seed: int
    scores: Mapping[str, Any]

    def to_json(self) -> str:
        """Write the card as JSON text."""
        return json.dumps(
            {"schema": SCHEMA, **asdict(self)}, indent=2, ensure_ascii=False
        )


def read_card(path: Path) -> Card:
    """Read and check ``card.json``.

    Raises
    ------
    BundleError
        If the file is no JSON object, a field is missing, unknown or of
        another type, or a value makes no sense.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"the card cannot be read ({error}).") from error
    except ValueError as error:
        raise _refused(path, f"the card is not JSON ({error}).") from error
    if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
        raise _refused(path, f"the card does not have the schema {SCHEMA}.")
    names = {field.name for field in fields(Card)}
    if missing := sorted(names - set(values)):
        raise _refused(path, f"the card lacks the field {missing[0]}.")
    if unknown := sorted(set(values) - names):
        raise _refused(path, f"the card has the unknown field {unknown[0]}.")
    for field in fields(Card):
        if not _has_type(values[field.name], str(field.type)):
            raise _refused(path, f"{field.name} in the card has a wrong type.")
    for name in ("inputs", "outputs", "classes"):
        values[name] = tuple(values[name])
    card = Card(**values)
    if problem := _nonsense(card):
        raise _refused(path, problem)
    return card


def _has_type(value: object, annotation: str) -> bool:
    match annotation:
        case "str":
            return isinstance(value, str) and value.strip() != ""
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "tuple[str, ...]":
            return isinstance(value, list) and all(isinstance(v, str) for v in value)
        case "Mapping[str, str]":
            return isinstance(value, dict) and all(
                isinstance(v, str) for v in value.values()
            )
        case _:
            return isinstance(value, dict)


def _nonsense(card: Card) -> str | None:
    if not 0.05 <= card.mpp <= 20:
        return f"{card.mpp} µm per pixel is absurd."
    if card.core_px <= 0 or card.halo_px < 0:
        return "the tile has no core."
    if not card.inputs or not set(card.inputs) <= {"he", "ihc"}:
        return f"inputs {card.inputs} are not he, ihc or both."
    if len(set(card.classes)) != len(card.classes) or len(card.classes) < 2:
        return "the classes are not at least two different names."
    known = {NO_TUMOUR, ZERO_OR_ULTRALOW, *(score.value for score in Score)}
    if strange := [name for name in card.classes if name not in known]:
        return f"the class {strange[0]!r} is neither a HER2 score nor {NO_TUMOUR!r}."
    if card.intended_use != INTENDED_USE:
        return f"the intended use is not {INTENDED_USE!r}."
    for name, digest in card.files.items():
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            return f"the SHA-256 of {name} is not 64 hexadecimal digits."
    return None


def _refused(path: Path, problem: str) -> BundleError:
    return BundleError(path.parent, problem, _NEXT_STEP)
