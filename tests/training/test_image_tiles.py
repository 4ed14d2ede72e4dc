import shutil

import numpy as np
import pytest
from tests.training.image_folders import bci_folder, picture, write

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.training.bci import CLASSES, list_bci
from napari_her2.training.folder_pairs import list_folder_pairs
from napari_her2.training.image_tiles import PairTiles, require_scores
from napari_her2.training.unpacked import unpack


@pytest.fixture
def tiles(tmp_path):
    return PairTiles(list_bci(bci_folder(tmp_path)), core_px=64, halo_px=20)


def test_a_tile_is_the_image_with_its_mirror_image_around(tiles):
    image = tiles.listing.pairs[3].read()[0]
    mirrored = np.pad(image, ((20, 20), (20, 20), (0, 0)), mode="reflect")
    assert tiles.he.shape == (24, 104, 104, 3)
    assert np.array_equal(tiles.he[3], mirrored)
    window = tiles.he[3, 10:50, slice(70, 104)]
    assert np.array_equal(window, mirrored[10:50, 70:104])
    assert window.dtype == np.uint8


def test_a_halo_wider_than_the_image_still_mirrors(tmp_path):
    listing = list_bci(bci_folder(tmp_path, side=8, n_test=0))
    tiles = PairTiles(listing, core_px=8, halo_px=30)
    image = listing.pairs[0].read()[1]
    mirrored = np.pad(image, ((30, 30), (30, 30), (0, 0)), mode="reflect")
    assert np.array_equal(tiles.ihc[0], mirrored)


def test_a_larger_image_gives_its_centre_and_what_is_around(tmp_path):
    listing = list_bci(bci_folder(tmp_path, side=96, n_test=0))
    tiles = PairTiles(listing, core_px=64, halo_px=8)
    image = listing.pairs[0].read()[0]
    assert np.array_equal(tiles.he[0], image[8:88, 8:88])


def test_labels_slides_and_split(tiles):
    assert tiles.classes == CLASSES
    assert tiles.labels.shape == (24, 5)
    assert (tiles.labels == tiles.labels[:, :1]).all()
    assert len(set(tiles.slides.tolist())) == 24
    assert not tiles.knows_slides
    assert (tiles.splits == "test").sum() == 8


def test_pairs_of_a_slide_share_a_number(tmp_path):
    for name in "abcd":
        write(tmp_path / "he" / f"{name}.png", picture(1))
        write(tmp_path / "ihc" / f"{name}.png", picture(2))
    (tmp_path / "labels.csv").write_text(
        "name,label,slide\na,0,S\nb,1+,T\nc,,S\nd,1+,S\n"
    )
    tiles = PairTiles(list_folder_pairs(tmp_path), 64, 4)
    assert tiles.knows_slides
    assert tiles.slides[0] == tiles.slides[2] == tiles.slides[3] != tiles.slides[1]
    assert tiles.labelled.tolist() == [0, 1, 3]
    with pytest.raises(UsageError, match="no HER2 scores"):
        require_scores(tiles, np.arange(4), 2)
    require_scores(tiles, tiles.labelled, 2)
    with pytest.raises(UsageError, match=r"have the same class \(1\+\)"):
        require_scores(tiles, np.array([1, 3]), 2)
    with pytest.raises(UsageError, match="2 classes"):
        require_scores(tiles, tiles.labelled, 4)


def test_unpacked_tiles_are_the_same_and_made_once(tiles, tmp_path):
    expected = [tiles.he[5], tiles.ihc[7, 3:40, 60:]]
    folder = tmp_path / "arrays"
    assert [p.step for p in unpack(tiles, folder, 0.0)] == []
    assert not folder.exists()
    assert [p.step for p in unpack(tiles, folder, 1.0)] == [24]
    assert isinstance(tiles.he, np.memmap)
    assert np.array_equal(tiles.he[5], expected[0])
    assert np.array_equal(tiles.ihc[7, 3:40, 60:], expected[1])
    again = PairTiles(tiles.listing, 64, 20)
    assert list(unpack(again, folder, 1.0)) == []
    assert np.array_equal(again.he[5], expected[0])


def test_tiles_stay_packed_where_the_disk_has_no_room(tiles, tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(10, 9, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert list(unpack(tiles, tmp_path / "arrays", 1.0)) == []
    assert not isinstance(tiles.he, np.memmap)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        list(unpack(tiles, tmp_path / "file" / "arrays", 1.0))
