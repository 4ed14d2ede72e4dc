"""Errors name the thing, the problem and the next step."""

from __future__ import annotations

import copy

import pytest

from napari_her2.core import errors

FILE_ERRORS = [
    errors.SlideError,
    errors.CaseError,
    errors.BundleError,
    errors.StorageError,
]
PLAIN_ERRORS = [errors.UsageError, errors.NotReadyError, errors.ReviewError]


@pytest.mark.parametrize("kind", [errors.BundleError, errors.StorageError])
def test_an_error_about_a_file_names_it_without_its_folder(kind):
    error = kind("/patients/secret/scores.csv", "is truncated.", "Copy it again.")

    assert str(error) == "scores.csv: is truncated. Copy it again."
    assert error.problem == "scores.csv: is truncated."
    assert error.next_step == "Copy it again."


@pytest.mark.parametrize(
    ("kind", "named"), [(errors.SlideError, "Slide"), (errors.CaseError, "Case")]
)
def test_an_error_about_a_patients_file_does_not_name_it(kind, named):
    error = kind("/patients/secret/anna.svs", "is truncated.", "Copy it again.")

    assert str(error) == f"{named}: is truncated. Copy it again."
    assert error.path.name == "anna.svs"
    assert "anna" not in repr(error)
    error.name_it("H&E slide")
    assert error.problem == "H&E slide: is truncated."
    assert str(copy.copy(error)) == str(error)


@pytest.mark.parametrize("kind", PLAIN_ERRORS)
def test_an_error_says_problem_and_next_step(kind):
    assert str(kind("No scale.", "Give it.")) == "No scale. Give it."


@pytest.mark.parametrize("kind", FILE_ERRORS + PLAIN_ERRORS)
def test_an_error_survives_the_way_between_processes(kind):
    args = ("a/b.tif", "is bad.", "Fix it.") if kind in FILE_ERRORS else ("Bad.", "Fix")
    error = kind(*args)
    again = copy.copy(error)
    assert type(again) is kind
    assert str(again) == str(error)


def test_scripts_can_tell_the_families_apart():
    codes = [kind.exit_code for kind in (errors.Her2Error, *FILE_ERRORS, *PLAIN_ERRORS)]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes
