import json

import numpy as np
import pytest
import tifffile
import zarr
from inference_fakes import FakeNetwork, bundle_of, pair_of, speckled

from napari_her2.core.errors import SlideError, StorageError
from napari_her2.core.geometry import BoxPx
from napari_her2.core.records import (
    FORCED,
    RESEARCH_USE,
    UNFAMILIAR,
    Arm,
    GateVerdict,
)
from napari_her2.core.region import Region
from napari_her2.core.score import Stain
from napari_her2.inference.engine import run
from napari_her2.inference.outputs import write_outputs
from napari_her2.inference.store import open_store
from napari_her2.slides.slide import open_slide
from napari_her2.slides.tissue import TissueMask

BOX = BoxPx(70, 30, 251, 402)
FILES = ["synthetic_ihc.ome.tif", "maps.zarr", "run.json"]


@pytest.fixture
def export(tmp_path, bundle):
    """Run a box on a pair and write its files."""

    def export(
        pair, box=BOX, folder="out", tissue=None, forced=False, bundle=bundle, **network
    ):
        region = Region.from_box("view", "View", box)
        store = open_store(pair, bundle, forced=forced, root=tmp_path / "cache")
        *_, last = run(pair, FakeNetwork(**network), bundle, [region], store, tissue)
        target = tmp_path / folder
        paths = write_outputs(
            target, store, pair, bundle, region, last.suggestion, case_id="case 1"
        )
        record = json.loads((target / "run.json").read_text(encoding="utf-8"))
        return store, target, paths, record

    return export


def test_files_cover_exactly_the_region(export, he_pair, bundle):
    store, folder, paths, record = export(he_pair)
    assert [path.name for path in paths] == FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    with open_slide(folder / FILES[0]) as slide:
        assert slide.mpp == 0.5
        assert slide.shape == BOX.shape
        np.testing.assert_array_equal(
            np.asarray(slide.levels[0]),
            store.synthetic_levels[0][70:251, 30:402, :3],
        )
    with pytest.raises(SlideError, match="synthetic"):
        open_slide(folder / FILES[0], stain=Stain.IHC)
    assert record["schema"] == "napari-her2/run/2"
    assert record["notice"] == RESEARCH_USE
    assert record["region_px"] == list(BOX.as_tuple())
    assert record["region_um"] == [35, 15, 125.5, 201]
    assert record["bundle"]["sha256"] == bundle.sha256
    assert record["slides"]["he"]["fingerprint"] == he_pair.he.fingerprint
    assert record["evidence"] == "H&E and synthetic IHC"
    assert record["caution"]
    assert record["tiles"]["he_only"] == record["tiles"]["counted"] == 3 * 7


def test_maps_are_those_of_the_tiles(export, he_pair):
    store, folder, _, record = export(he_pair)
    group = zarr.open_group(folder / "maps.zarr", mode="r")
    np.testing.assert_array_equal(
        group["probabilities"][:], store.map("probabilities")[1:4, 0:7]
    )
    np.testing.assert_array_equal(
        group["attention"][:], store.map("attention")[2:8, 0:14]
    )
    said = group["attention"].attrs
    assert said["um_per_element"] == 16
    assert said["origin_um"] == [32, 0]
    assert record["maps"]["attention"] == dict(said)
    assert np.isfinite(group["branch_share"][:]).all()


def test_background_is_white(export, he_pair):
    mask = np.ones((50, 62), bool)
    mask[:, :26] = False
    _, folder, _, record = export(he_pair, tissue=TissueMask(mask, 5.0))
    with open_slide(folder / FILES[0]) as slide:
        assert (slide.levels[0][:, : 256 - 30] == 255).all()
        assert (slide.levels[0][:, 256 - 30 :] < 255).any()
    assert record["tiles"]["background"] == 3 * 4


def test_writing_twice_gives_the_same_and_replaces(export, he_pair):
    first = [p.read_bytes() for p in export(he_pair)[2] if p.is_file()]
    again = [p.read_bytes() for p in export(he_pair)[2] if p.is_file()]
    assert first == again


def test_ihc_alone_writes_no_picture(export, slide):
    pair = pair_of(ihc=slide("ihc.tif", speckled((300, 410), 2)))
    _, _, paths, record = export(pair)
    assert [path.name for path in paths] == FILES[1:]
    assert record["evidence"] == "IHC"
    assert "synthetic_ihc" not in record
    assert record["synthesis"] == ""


def test_a_finer_slide_gives_a_picture_at_the_scale_of_the_model(export, slide):
    pair = pair_of(slide("fine.tif", speckled((600, 600), 2), 0.25))
    _, folder, _, record = export(pair, BoxPx(101, 0, 401, 333))
    with open_slide(folder / FILES[0]) as picture:
        assert picture.shape == (150, 167)
    assert record["synthetic_ihc"]["box_model_px"] == [51, 0, 201, 167]


def test_a_folder_that_cannot_be_made_is_told_without_its_name(
    export, he_pair, tmp_path
):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        export(he_pair, folder="taken/out")


def test_bundle_that_reads_ihc_only_writes_no_picture(tmp_path, he_pair):
    pair = pair_of(he_pair.he, he_pair.he)
    bundle = bundle_of(tmp_path, inputs=("ihc",))
    region = Region.from_box("view", "View", BOX)
    store = open_store(pair, bundle, root=tmp_path)
    *_, last = run(pair, FakeNetwork(), bundle, [region], store)
    paths = write_outputs(
        tmp_path / "o", store, pair, bundle, region, last.suggestion, case_id="c"
    )
    assert [path.name for path in paths] == FILES[1:]


def test_the_record_tells_arm_gate_and_distance(export, he_pair):
    gate = GateVerdict(True, 0.25, 0.5, 0.75, 0.5, 0.5, "")
    arm = Arm.HE_RECONSTRUCTED
    _, folder, _, record = export(he_pair, arm=arm, gate=gate, unfamiliar_below=0.1)
    assert record["arms"] == {"H&E and reconstructed IHC": 1.0}
    assert record["gate"]["accepted"] is True
    assert record["gate"]["confidence_with"] == 0.75
    assert record["distance"]["threshold"] == 1.0
    assert record["distance"]["median"] <= record["distance"]["largest"] < 1
    assert record["distance"]["tiles_beyond"] == 0
    assert record["backend"] == "torch-fp32"
    assert record["prediction_set"] == []
    group = zarr.open_group(folder / "maps.zarr", mode="r")
    assert (group["arm"][:] == list(Arm).index(arm)).all()
    assert group["gate"].shape == (3, 7, 7)
    assert "1 H&E and reconstructed IHC" in group["arm"].attrs["meaning"]


def test_a_forced_run_marks_every_file(export, he_pair):
    _, folder, _, record = export(he_pair, forced=True, unfamiliar_below=2.0)
    assert record["forced"] is True
    assert record["caution"].startswith(FORCED)
    assert record["suggestion"] != str(UNFAMILIAR)
    with tifffile.TiffFile(folder / FILES[0]) as file:
        told = file.pages.first.description
    assert "SYNTHETIC FORCED" in told
    assert FORCED.capitalize() in told
    assert zarr.open_group(folder / "maps.zarr", mode="r").attrs["forced"] is True


def test_without_force_nothing_is_said_or_shown_of_unfamiliar_tissue(export, he_pair):
    _, folder, _, record = export(he_pair, unfamiliar_below=2.0)
    assert record["suggestion"] == str(UNFAMILIAR)
    assert record["forced"] is False
    assert record["probabilities"] == {}
    with open_slide(folder / FILES[0]) as slide:
        assert (np.asarray(slide.levels[0]) == 255).all()


def test_an_ihc_alone_writes_the_he_it_reconstructs(export, slide, tmp_path):
    pair = pair_of(ihc=slide("ihc.tif", speckled((300, 410), 2)))
    files = {"ihc_to_he.safetensors": "ab" * 32}
    bundle = bundle_of(tmp_path, files=files)
    _, folder, paths, record = export(pair, bundle=bundle, makes_he=True)
    assert [path.name for path in paths] == ["synthetic_he.ome.tif", *FILES[1:]]
    assert record["synthetic_he"]["um_per_px"] == 0.5
    with pytest.raises(SlideError, match="synthetic"):
        open_slide(folder / "synthetic_he.ome.tif", stain=Stain.HE)
