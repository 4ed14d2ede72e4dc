import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from skimage.io import imread, imsave

from napari_her2.core.score import Stain
from napari_her2.phantom.artefacts import Field
from napari_her2.phantom.artefacts_layers import FocusLoss
from napari_her2.slides.case import Case, write_case
from napari_her2.slides.slide import open_slide


def test_a_region_is_written_exactly_and_marked_synthetic(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, _ = command(
        "run", virtual_case, "--region", "90,70,290,370",
        "--bundle", tiny_bundle_path, "--out", out,
    )  # fmt: skip
    assert code == 0
    record = json.loads((out / "run.json").read_text())
    assert record["region_px"] == [90, 70, 290, 370]
    assert record["bundle"]["name"] == "tiny"
    with open_slide(out / "synthetic_ihc.ome.tif") as synthetic:
        assert synthetic.shape == (200, 300)
        assert synthetic.mpp == pytest.approx(0.5)
        assert synthetic.is_synthetic
    code, _, error = command(
        "synthesize", out / "synthetic_ihc.ome.tif",
        "--bundle", tiny_bundle_path, "--out", tmp_path / "x.ome.tif",
    )  # fmt: skip
    assert code == 3
    assert "synthetic" in error


def test_the_same_pixel_is_the_same_in_every_region(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path, monkeypatch
) -> None:
    regions = {"a": "90,70,290,370", "b": "150,100,310,250"}
    pictures = {}
    for name, region in regions.items():
        monkeypatch.setenv("NAPARI_HER2_CACHE", str(tmp_path / f"cache-{name}"))
        out = tmp_path / name
        command(
            "run", virtual_case, "--region", region,
            "--bundle", tiny_bundle_path, "--out", out,
        )  # fmt: skip
        with open_slide(out / "synthetic_ihc.ome.tif") as slide:
            pictures[name] = np.asarray(slide.levels[0][:])
    assert_array_equal(pictures["a"][60:200, 30:180], pictures["b"][:140, :150])


def test_json_goes_to_standard_output_alone(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    code, out, _ = command(
        "run", virtual_case.parent, "--region", "0,0,64,64", "--json",
        "--bundle", tiny_bundle_path, "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["schema"] == "napari-her2/run/2"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["--region", "5,5,1"], 2, "four integers"),
        (["--region", "9,9,5,5"], 2, "empty"),
        (["--region", "90000,0,90010,10"], 2, "outside the slide"),
        (["--region", "0,0,9,9", "--whole"], 2, "exclude"),
        (["--bundle", "nowhere"], 5, "nowhere"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_line_and_a_code(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path,
    arguments: list[str], exit_code: int, words: str,
) -> None:  # fmt: skip
    bundle = [] if "--bundle" in arguments else ["--bundle", tiny_bundle_path]
    code, out, error = command(
        "run", virtual_case, *arguments, *bundle, "--out", tmp_path / "out"
    )
    assert code == exit_code
    assert words in error
    assert out == ""
    assert len(error.strip().splitlines()) == 1


def test_a_missing_case_is_named(command, tmp_path: Path) -> None:
    code, _, error = command("run", tmp_path / "no.her2case.json", "--out", tmp_path)
    assert code == 4
    assert "Case: the case cannot be read" in error


def test_synthesize_needs_a_scale_and_says_how_to_give_it(
    command, unpaired: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.ome.tif"
    request = ["synthesize", unpaired, "--bundle", tiny_bundle_path, "--out", out]
    code, _, error = command(*request)
    assert code == 7
    assert "--mpp" in error
    assert not out.exists()
    code, _, _ = command(*request, "--mpp", 0.5)
    assert code == 0
    with open_slide(out) as slide:
        assert slide.shape == (300, 300)
        assert slide.is_synthetic


def test_synthesize_refuses_a_name_that_cannot_carry_the_mark(
    command, unpaired: Path, tmp_path: Path
) -> None:
    code, _, error = command("synthesize", unpaired, "--out", tmp_path / "out.png")
    assert code == 2
    assert ".ome.tif" in error


def test_an_ihc_given_as_he_is_refused(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    ihc = virtual_case.parent / json.loads(virtual_case.read_text())[Stain.IHC]
    code, _, error = command(
        "synthesize", ihc, "--bundle", tiny_bundle_path,
        "--out", tmp_path / "out.ome.tif",
    )  # fmt: skip
    assert code == 3
    assert "IHC" in error


@pytest.fixture
def strange(nothing_is_familiar: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that can tell familiar tissue, and knows none of what it is given."""
    from napari_her2.inference import screening
    from napari_her2.models import network

    load = network.load_network

    def load_knowing(bundle):
        loaded = load(bundle)
        loaded.familiarity = object()
        return loaded

    monkeypatch.setattr(network, "load_network", load_knowing)
    seen = screening.Screening(True, screening.UNFAMILIAR, 2.0)
    monkeypatch.setattr(screening, "screen_image", lambda *_: seen)


@pytest.mark.usefixtures("strange")
def test_an_unfamiliar_slide_is_refused_and_forced_results_say_so(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    request = ["run", virtual_case, "--region", "90,70,190,170"]
    request += ["--bundle", tiny_bundle_path, "--out", out]
    code, printed, error = command(*request)
    assert (code, printed) == (7, "")
    assert "unfamiliar tissue or stain" in error
    assert "--force" in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()

    code, printed, _ = command(*request, "--force")
    assert code == 0
    assert "forced" in printed
    record = json.loads((out / "run.json").read_text())
    assert record["forced"] is True
    assert record["distance"]["median"] == 2.0
    assert "forced" in record["caution"]
    with tifffile.TiffFile(out / "synthetic_ihc.ome.tif") as file:
        assert "SYNTHETIC FORCED" in file.pages.first.description


@pytest.mark.usefixtures("strange")
def test_synthesize_refuses_an_unfamiliar_image_unless_forced(
    command, unpaired: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.ome.tif"
    request = ["synthesize", unpaired, "--bundle", tiny_bundle_path, "--mpp", 0.5]
    code, _, error = command(*request, "--out", out)
    assert code == 7
    assert "H&E cannot be assessed" in error
    assert not out.exists()
    code, _, _ = command(*request, "--out", out, "--force")
    assert code == 0
    with tifffile.TiffFile(out) as file:
        assert "SYNTHETIC FORCED" in file.pages.first.description


@pytest.fixture
def out_of_focus(unpaired: Path) -> Path:
    """An H&E image that is blurred all over, as a case with a scale."""
    image = imread(unpaired)
    blurred = FocusLoss(6.0).lay_over(Field(image, 0.5, Stain.HE)).field.image
    path = unpaired.with_name("blurred.png")
    imsave(path, blurred, check_contrast=False)
    manifest = path.with_name("blurred.her2case.json")
    write_case(Case("B1", path, None, he_mpp=0.5), manifest)
    return manifest


def test_a_slide_of_too_low_quality_is_refused_and_forced_results_say_so(
    command, out_of_focus: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    request = ["run", out_of_focus, "--region", "90,70,190,170"]
    request += ["--bundle", tiny_bundle_path, "--out", out]
    code, printed, error = command(*request)
    assert (code, printed) == (7, "")
    assert "H&E: " in error
    assert "out of focus" in error
    assert "--force" in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()

    code, printed, _ = command(*request, "--force")
    assert code == 0
    assert "low quality" in printed
    assert json.loads((out / "run.json").read_text())["forced"] is True
    with tifffile.TiffFile(out / "synthetic_ihc.ome.tif") as file:
        assert "SYNTHETIC FORCED" in file.pages.first.description


def test_synthesize_refuses_an_image_of_too_low_quality_unless_forced(
    command, out_of_focus: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    image, out = out_of_focus.with_name("blurred.png"), tmp_path / "out.ome.tif"
    request = ["synthesize", image, "--mpp", 0.5, "--bundle", tiny_bundle_path]
    code, _, error = command(*request, "--out", out)
    assert code == 7
    assert "out of focus" in error
    assert not out.exists()
    code, _, _ = command(*request, "--out", out, "--force")
    assert code == 0
    assert out.exists()


def test_an_unknown_backend_is_refused(
    command, virtual_case: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    code, _, error = command(
        "run", virtual_case, "--bundle", tiny_bundle_path, "--out", tmp_path,
        "--backend", "abacus",
    )  # fmt: skip
    assert code == 2
    assert "abacus" in error
