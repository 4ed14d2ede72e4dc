"""Case manifests: what is read, what is refused, and pseudonyms."""

import json
import os
from pathlib import Path

import psutil
import pytest
from dicom_files import uids, write_instance

from napari_her2.core.errors import CaseError, SlideError, StorageError
from napari_her2.core.geometry import Affine
from napari_her2.core.score import Stain
from napari_her2.slides.case import (
    Case,
    case_of_files,
    case_of_folder,
    read_case,
    write_case,
)
from napari_her2.slides.pair import SlidePair, open_loose, open_pair

MINIMAL = {"schema": "napari-her2/case/1", "case_id": "A", "he": "he.tif"}


@pytest.fixture
def folder(tmp_path, tiff, stained):
    folder = tmp_path / "case"
    folder.mkdir()
    for name, colour in (("he", "eosin"), ("ihc", "dab")):
        tiff(stained(colour), f"case/{name}.tif", tile=(256, 256))
    return folder


@pytest.fixture
def manifest(folder):
    def write(**fields):
        path = folder / "a.her2case.json"
        given = {k: v for k, v in (MINIMAL | fields).items() if v != "absent"}
        path.write_text(json.dumps(given))
        return path

    return write


def test_a_case_comes_back_as_it_was_written(folder):
    case = Case(
        case_id="B-7",
        he=folder / "he.tif",
        ihc=folder / "ihc.tif",
        he_to_ihc_um=Affine(((1, 0.1, -3.5), (-0.1, 1, 2))),
        transform_source="manifest",
        he_mpp=0.5,
        manifest_path=folder / "b.her2case.json",
    )
    write_case(case, folder / "b.her2case.json")
    assert read_case(folder / "b.her2case.json") == case
    assert sorted(path.name for path in folder.iterdir()) == [
        "b.her2case.json",
        "he.tif",
        "ihc.tif",
    ]


def test_without_a_transform_it_is_the_identity_and_says_so(manifest):
    case = read_case(manifest())
    assert (case.transform_source, case.he_to_ihc_um) == ("identity", Affine())
    assert case.ihc is None
    assert case.path_of(Stain.HE) == case.he


def test_a_given_identity_is_the_manifests(manifest):
    case = read_case(manifest(he_to_ihc_um=[[1, 0, 0], [0, 1, 0]]))
    assert case.transform_source == "manifest"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"doctor": "x"}, "unknown field 'doctor'"),
        ({"schema": "napari-her2/case/9"}, "schema is unknown"),
        ({"schema": "absent"}, "schema is unknown"),
        ({"case_id": ""}, "no case_id"),
        ({"case_id": 7}, "no case_id"),
        ({"he": "absent"}, "names no slide"),
        ({"he": 5}, "is no path"),
        ({"he": "no.tif"}, "H&E slide it names is missing"),
        ({"he": "../he.tif"}, "points outside"),
        ({"he": "x/../../he.tif"}, "points outside"),
        ({"he": "..\\he.tif"}, "points outside"),
        ({"he": "C:\\he.tif"}, "points outside"),
        ({"he": "\\\\server\\he.tif"}, "points outside"),
        ({"he": "/etc/passwd"}, "points outside"),
        ({"he_to_ihc_um": [[1, 0], [0, 1]]}, "is no transform"),
        ({"he_to_ihc_um": [[0, 0, 1], [0, 0, 1]]}, "is no transform"),
        ({"he_to_ihc_um": "identity"}, "is no transform"),
        ({"he_to_ihc_um": [[1, 0, "x"], [0, 1, 0]]}, "is no transform"),
        ({"he_mpp": 0}, "'he_mpp' is no scale"),
        ({"he_mpp": "0.5"}, "'he_mpp' is no scale"),
        ({"he_mpp": True}, "'he_mpp' is no scale"),
        ({"ihc_mpp": 352.8}, "'ihc_mpp' is no scale"),
    ],
)
def test_refusals(manifest, fields, problem):
    with pytest.raises(CaseError, match=problem) as caught:
        read_case(manifest(**fields))
    assert str(caught.value).startswith("Case: ")
    assert caught.value.next_step.endswith((".", "µm."))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        "[" * 100_000,
        '{"he_mpp": NaN}',
        '{"he": "a", "he": "b"}',
        '{"x": "' + "a" * (2 << 20) + '"}',
    ],
)
def test_no_manifest(tmp_path, text):
    path = tmp_path / "a.her2case.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(CaseError):
        read_case(path)


def test_a_missing_manifest_and_a_folder(tmp_path):
    for path in (tmp_path / "no.her2case.json", tmp_path):
        with pytest.raises(CaseError, match="cannot be read"):
            read_case(path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_out_of_the_folder(manifest, folder, tiff, noise):
    outside = tiff(noise(20, 20), "secret.tif")
    (folder / "link.tif").symlink_to(outside)
    with pytest.raises(CaseError, match="points outside"):
        read_case(manifest(he="link.tif"))
    (folder / "up").symlink_to(folder.parent)
    with pytest.raises(CaseError, match="points outside"):
        read_case(manifest(he="up/secret.tif"))
    (folder / "inner.tif").symlink_to(folder / "he.tif")
    assert read_case(manifest(he="inner.tif")).he


def test_slides_outside_the_folder_are_not_written(folder, tmp_path):
    case = Case("A", tmp_path / "elsewhere.tif", None)
    with pytest.raises(CaseError, match="outside"):
        write_case(case, folder / "a.her2case.json")
    with pytest.raises(CaseError, match="no slide"):
        write_case(Case("A", None, None), folder / "a.her2case.json")


def test_a_full_disk_keeps_the_old_manifest(manifest, folder, monkeypatch):
    path = manifest()
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_case(read_case(path), path)
    assert path.read_bytes() == before
    assert len(list(folder.iterdir())) == 3


def test_a_case_of_files_is_named_by_content_alone(folder):
    case = case_of_files(folder / "he.tif", folder / "ihc.tif")
    (folder / "he.tif").rename(folder / "Jane Doe.tif")
    again = case_of_files(folder / "Jane Doe.tif", folder / "ihc.tif")
    assert again.case_id == case.case_id
    assert "jane" not in again.case_id.lower()
    assert case_of_files(folder / "ihc.tif", None).case_id != case.case_id
    assert (
        case_of_files(folder / "ihc.tif", None).case_id
        != case_of_files(None, folder / "ihc.tif").case_id
    )


def test_a_case_of_no_files_or_bad_ones(tmp_path):
    with pytest.raises(CaseError, match="no slide"):
        case_of_files(None, None)
    with pytest.raises(SlideError, match="missing"):
        case_of_files(tmp_path / "no.svs", None)


def test_a_case_of_a_folder(folder, manifest, tmp_path):
    case = case_of_folder(folder)
    assert (case.he, case.ihc) == (folder / "he.tif", folder / "ihc.tif")
    manifest(case_id="from the manifest")
    assert case_of_folder(folder).case_id == "from the manifest"
    (folder / "b.her2case.json").write_text("{}")
    with pytest.raises(CaseError, match="holds 2 cases"):
        case_of_folder(folder)


def test_folders_without_a_case(tmp_path, folder):
    with pytest.raises(CaseError, match="holds no case"):
        case_of_folder(tmp_path)
    with pytest.raises(CaseError, match="cannot be read"):
        case_of_folder(tmp_path / "no")
    (folder / "he.png").touch()
    with pytest.raises(CaseError, match="holds 2 H&E slides"):
        case_of_folder(folder)


def test_a_pair_opens_both_and_closes_both(folder):
    with open_pair(case_of_folder(folder)) as pair:
        assert pair.reference is pair.he
        assert [stain for stain, _ in pair.slides] == [Stain.HE, Stain.IHC]
        assert pair.registration.method == "identity"
    with pytest.raises(SlideError, match="closed"):
        pair.ihc.levels[0][:5, :5]


def test_a_pair_takes_the_manifests_scale(manifest):
    with open_pair(read_case(manifest(he_mpp=0.25))) as pair:
        assert pair.he.mpp == 0.25
        assert pair.ihc is None


def test_an_ihc_alone_is_its_own_reference(manifest):
    with open_pair(read_case(manifest(he="absent", ihc="ihc.tif"))) as pair:
        assert pair.reference is pair.ihc


def test_exchanged_stains_are_refused_and_nothing_stays_open(folder):
    n_before = psutil.Process().num_fds()
    case = Case("A", folder / "he.tif", folder / "he.tif")
    with pytest.raises(SlideError, match="looks like H&E"):
        open_pair(case)
    assert psutil.Process().num_fds() == n_before


def test_a_pair_of_nothing():
    with pytest.raises(ValueError, match="needs"):
        SlidePair(None, None)


def test_manifest_paths_are_absolute(manifest, monkeypatch):
    path = manifest()
    monkeypatch.chdir(path.parent)
    case = read_case(path.name)
    assert case.manifest_path == path
    assert case.he == path.parent / "he.tif"
    assert isinstance(case.he, Path)


def test_loose_slides_are_the_same_case_however_they_are_opened(folder):
    he = folder / "he.tif"
    case, pair = open_loose(he, None)
    with pair:
        assert case == case_of_files(he, None)
        assert pair.he.fingerprint.startswith("blake2b:")
    with pytest.raises(CaseError, match="no slide was given"):
        open_loose(None, None)


def test_a_folder_of_dicom_files_is_the_he_slide(tmp_path, stained):
    pink = stained("eosin", size=300)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_instance(tmp_path / name / f"{name}.dcm", pink, *uids(1))
    cases = [case_of_folder(tmp_path / name) for name in ("one", "two")]
    assert cases[0].case_id == cases[1].case_id
    assert (cases[0].he, cases[0].ihc) == (tmp_path / "one", None)
    with open_pair(cases[0]) as pair:
        assert pair.reference.shape == (300, 300)
