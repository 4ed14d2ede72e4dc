"""A case: one patient's H&E and/or HER2 IHC slide and how the two lie together.

On disk a case is a small JSON manifest (``*.her2case.json``) beside its slides.
A manifest is data from elsewhere: it may only name files in its own folder, and
a field it does not know is refused rather than ignored.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from napari_her2.core.errors import CaseError, StorageError
from napari_her2.core.geometry import Affine
from napari_her2.core.score import Stain
from napari_her2.core.whole_file import write_whole
from napari_her2.slides.dicom_series import holds_dicom
from napari_her2.slides.scale import MAX_MPP, MIN_MPP

SCHEMA: Final = "napari-her2/case/1"
MANIFEST_SUFFIX: Final = ".her2case.json"
MAX_MANIFEST_BYTES: Final = 1 << 20

_FIELDS = ("schema", "case_id", "he", "ihc", "he_to_ihc_um", "he_mpp", "ihc_mpp")


@dataclass(frozen=True, slots=True)
class Case:
    """Where the slides of a case are, before any of them is opened.

    Parameters
    ----------
    case_id
        Pseudonym of the case; never taken from a file name.
    he, ihc
        Paths; None where the case has no such slide. At least one is there.
    he_to_ihc_um
        (y, x) µm from the corner of the H&E slide -> µm on the IHC slide.
    transform_source
        ``"manifest"``, or ``"identity"`` where nobody gave a transform.
    he_mpp, ihc_mpp
        µm/px given by a person; they stand above what the file says.
    manifest_path
        The manifest the case was read from.
    """

    case_id: str
    he: Path | None = field(repr=False)
    ihc: Path | None = field(repr=False)
    he_to_ihc_um: Affine = field(default_factory=Affine)
    transform_source: str = "identity"
    he_mpp: float | None = None
    ihc_mpp: float | None = None
    manifest_path: Path | None = field(default=None, repr=False)

    def path_of(self, stain: Stain) -> Path | None:
        """Return the path of the slide with this stain."""
        return self.he if stain is Stain.HE else self.ihc


def read_case(path: Path | str) -> Case:
    """Read a case manifest.

    Raises
    ------
    CaseError
        If it is no such manifest, has an unknown field or a wrong value, names a
        file outside its folder or one that is missing, or names no slide.
    """
    path = Path(path)
    fields = _read_fields(path)
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise CaseError(
            path,
            f"unknown field {', '.join(map(repr, unknown))}.",
            f"Remove it; a case has the fields {', '.join(_FIELDS)}.",
        )
    if fields.get("schema") != SCHEMA:
        raise CaseError(
            path,
            "its schema is unknown.",
            f"This version reads {SCHEMA!r}.",
        )
    case_id = fields.get("case_id")
    if not isinstance(case_id, str) or not case_id.strip() or len(case_id) > 200:
        raise CaseError(path, "it has no case_id.", "Give a pseudonym as text.")
    he, ihc = (_slide_path(path, fields, name) for name in ("he", "ihc"))
    if he is None and ihc is None:
        raise CaseError(path, "it names no slide.", 'Give "he", "ihc" or both.')
    transform = fields.get("he_to_ihc_um")
    return Case(
        case_id=case_id,
        he=he,
        ihc=ihc,
        he_to_ihc_um=Affine() if transform is None else _transform(path, transform),
        transform_source="identity" if transform is None else "manifest",
        he_mpp=_mpp(path, fields, "he_mpp"),
        ihc_mpp=_mpp(path, fields, "ihc_mpp"),
        manifest_path=path.absolute(),
    )


def write_case(case: Case, path: Path | str) -> None:
    """Write a case manifest; its slides must lie in the manifest's folder.

    Raises
    ------
    CaseError
        If a slide lies outside the folder or the case names none.
    StorageError
        If the file cannot be written; one that was there is untouched.
    """
    path = Path(path)
    fields: dict[str, Any] = {"schema": SCHEMA, "case_id": case.case_id}
    for name, slide in (("he", case.he), ("ihc", case.ihc)):
        if slide is not None:
            fields[name] = _relative(path, slide)
    if len(fields) == 2:
        raise CaseError(path, "the case has no slide.", "Give an H&E or an IHC slide.")
    if case.transform_source != "identity":
        fields["he_to_ihc_um"] = [list(row) for row in case.he_to_ihc_um.rows]
    for name, mpp in (("he_mpp", case.he_mpp), ("ihc_mpp", case.ihc_mpp)):
        if mpp is not None:
            fields[name] = mpp
    try:
        write_whole(path, json.dumps(fields, indent=2) + "\n")
    except OSError as error:
        raise StorageError(
            path,
            f"it cannot be written ({error.strerror or error}).",
            "Free space on that disk or choose another folder, then try again.",
            "Case",
        ) from error


def case_of_files(he: Path | str | None, ihc: Path | str | None) -> Case:
    """Return the case of loose slide files, with an id made from their content.

    The id stays the same when the files are renamed or moved, and tells nothing
    of their names.

    Raises
    ------
    CaseError
        If no file is given.
    SlideError
        If a file cannot be read.
    """
    paths = [None if slide is None else Path(slide) for slide in (he, ihc)]
    if paths == [None, None]:
        raise CaseError("case", "no slide was given.", "Give an H&E or an IHC slide.")
    prints = [
        "" if slide is None else _fingerprint(slide, stain)
        for stain, slide in zip(Stain, paths, strict=True)
    ]
    return Case(case_id_of(*prints), he=paths[0], ihc=paths[1])


def case_id_of(he_fingerprint: str, ihc_fingerprint: str) -> str:
    """Return the id of loose slides; "" is the fingerprint of one that is not there."""
    text = f"{he_fingerprint}\n{ihc_fingerprint}"
    return f"case-{hashlib.blake2b(text.encode(), digest_size=5).hexdigest()}"


def case_of_folder(folder: Path | str) -> Case:
    """Return the case in a folder: its one manifest, or ``he.*`` and ``ihc.*``.

    A folder of DICOM instances alone is taken for the H&E slide.

    Raises
    ------
    CaseError
        If the folder holds no case or more than one.
    SlideError
        If a slide file cannot be read.
    """
    folder = Path(folder)
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise CaseError(
            folder,
            f"the folder cannot be read ({error.strerror or error}).",
            "Check that it exists and that you may read it.",
        ) from error
    manifests = [name for name in names if name.endswith(MANIFEST_SUFFIX)]
    if len(manifests) == 1:
        return read_case(folder / manifests[0])
    if manifests:
        raise CaseError(
            folder,
            f"it holds {len(manifests)} cases.",
            "Open one of the manifests.",
        )
    slides: list[Path | None] = []
    for stain in Stain:
        found = [name for name in names if name.lower().split(".")[0] == stain.value]
        if len(found) > 1:
            raise CaseError(
                folder,
                f"it holds {len(found)} {stain.label} slides.",
                "Keep one, or write a manifest.",
            )
        slides.append(folder / found[0] if found else None)
    if slides == [None, None] and holds_dicom(folder):
        return case_of_files(folder, None)
    if slides == [None, None]:
        raise CaseError(
            folder,
            "it holds no case.",
            f"It needs one *{MANIFEST_SUFFIX}, or slides named he.* and ihc.*.",
        )
    return case_of_files(*slides)


def _fingerprint(path: Path, stain: Stain) -> str:
    from napari_her2.slides.guarded import open_guarded  # formats are heavy

    source = open_guarded(path, name=f"{stain.label} slide")
    source.close()
    return source.fingerprint


def _read_fields(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise CaseError(
            path,
            f"the case cannot be read ({error.strerror or error}).",
            "Check that the file exists and that you may read it.",
        ) from error
    try:
        if len(data) > MAX_MANIFEST_BYTES:
            raise ValueError("too long")
        fields = json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins)
        if not isinstance(fields, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError) as error:
        raise CaseError(
            path,
            f"it is no case manifest ({error}).",
            "A manifest is one JSON object; see the sample case for its form.",
        ) from error
    return fields


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _slide_path(manifest: Path, fields: dict[str, Any], name: str) -> Path | None:
    text = fields.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise CaseError(manifest, f"{name!r} is no path.", "Give a file name as text.")
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    folder = manifest.absolute().parent
    slide = folder / posix
    # a link may lead out as well as ".." does, so where it ends counts
    inside = not (
        posix.is_absolute()
        or windows.drive
        or windows.root
        or ".." in posix.parts
        or ".." in windows.parts
    ) and slide.resolve().is_relative_to(folder.resolve())
    if not inside:
        raise CaseError(
            manifest,
            f"{name!r} points outside the manifest's folder.",
            "Move the slide beside the manifest and name it relative to it.",
        )
    if not slide.exists():
        raise CaseError(
            manifest,
            f"the {Stain(name).label} slide it names is missing.",
            "Put it back beside the manifest, or correct its name there.",
        )
    return slide


def _relative(manifest: Path, slide: Path) -> str:
    folder = manifest.absolute().parent.resolve()
    try:
        return slide.absolute().resolve().relative_to(folder).as_posix()
    except ValueError:
        raise CaseError(
            manifest,
            "a slide lies outside the manifest's folder.",
            "Write the manifest in the folder that holds the slides.",
        ) from None


def _transform(manifest: Path, rows: object) -> Affine:
    try:
        affine = Affine.from_matrix(rows)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        raise CaseError(
            manifest,
            "'he_to_ihc_um' is no transform.",
            "Give two rows of three numbers, [[a, b, ty], [c, d, tx]], in µm.",
        ) from None
    return affine


def _mpp(manifest: Path, fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and MIN_MPP <= value <= MAX_MPP):
        raise CaseError(
            manifest,
            f"{name!r} is no scale of a slide.",
            f"Give µm per pixel between {MIN_MPP:g} and {MAX_MPP:g}.",
        )
    return float(value)
