"""DICOM slides: the levels of a series, and nothing else of it."""

import builtins
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from dicom_files import uids, write_instance

from napari_her2.core.errors import SlideError
from napari_her2.slides import dicom_series, fingerprint
from napari_her2.slides.halving import halve
from napari_her2.slides.slide import open_slide as open_any

open_slide = partial(open_any, in_process=True)  # workers are tested apart


@pytest.fixture
def smooth():
    """An image that JPEG keeps nearly as it is."""
    y, x = np.mgrid[:300, :200]
    return np.stack([y * 0.8, x * 1.2, 255 - y * 0.5], axis=2).astype(np.uint8)


@pytest.fixture
def series(tmp_path, smooth):
    """A folder with two levels, a label, an overview and a foreign text file."""
    (uid,) = uids(1)
    folder = tmp_path / "slide"
    folder.mkdir()
    write_instance(folder / "b.dcm", smooth, uid)
    write_instance(folder / "a.dcm", halve(smooth), uid, spacing_mm=0.001)
    red = np.zeros((64, 64, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    write_instance(folder / "label.dcm", red, uid, kind="LABEL")
    write_instance(folder / "macro.dcm", red, uid, kind="OVERVIEW")
    write_instance(folder / "thumb.dcm", red, uid, kind="THUMBNAIL")
    (folder / "readme.txt").write_text("hello")
    return folder


def test_levels_and_scale(series, smooth):
    with open_slide(series) as slide:
        assert (slide.shape, slide.mpp) == ((300, 200), 0.5)
        assert [level.shape for level in slide.levels] == [
            (300, 200, 3),
            (150, 100, 3),
        ]
        np.testing.assert_array_equal(slide.levels[0], smooth)
        np.testing.assert_array_equal(slide.levels[1], halve(smooth))
        assert slide.downsample(1) == 2


def test_any_instance_opens_its_slide(series):
    with open_slide(series) as slide:
        name = slide.fingerprint
    for path in sorted(series.glob("*.dcm")):
        with open_slide(path) as slide:
            assert (slide.shape, slide.fingerprint) == ((300, 200), name)


def test_label_and_overview_are_opened_by_nobody(series, monkeypatch):
    """No byte behind the header of a label is read, whoever opens it."""
    data = series / "label.dcm"
    opened = []
    real = builtins.open

    def watch(file, *args, **kwargs):
        opened.append(str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", watch)
    monkeypatch.setattr("io.open", watch)
    with open_slide(series / "a.dcm") as slide:
        np.asarray(slide.levels[0])
        images = [blocks._image for blocks in slide._source.levels]
        files = {str(file) for image in images for file in image.files}
    assert files == {str(series / "a.dcm"), str(series / "b.dcm")}
    assert len(opened) >= 2
    # cut behind the header: a slide whose label has no pixels opens all the same
    data.write_bytes(data.read_bytes()[: -64 * 64 * 3])
    with open_slide(series) as slide:
        assert slide.shape == (300, 200)


@pytest.mark.parametrize("codec", ["raw", "jpeg2000", "jpegls", "jpeg"])
@pytest.mark.parametrize("offset_table", [True, False])
@pytest.mark.parametrize("tile", [48, 100])
def test_codecs(tmp_path, smooth, codec, offset_table, tile):
    path = tmp_path / "a.dcm"
    write_instance(
        path, smooth, *uids(1), codec=codec, tile=tile, offset_table=offset_table
    )
    with open_slide(path) as slide:
        off = np.abs(np.asarray(slide.levels[0]).astype(int) - smooth)
        assert off.max() <= (4 if codec == "jpeg" else 0)


def test_sparse_tiles(tmp_path, smooth):
    path = tmp_path / "a.dcm"
    places = [(4, 3), (0, 0), (2, 1)]
    write_instance(path, smooth, *uids(1), sparse=places)
    with open_slide(path) as slide:
        image = np.asarray(slide.levels[0])
    expected = np.full_like(smooth, 255)
    for row, col in places:
        box = np.s_[row * 64 : (row + 1) * 64, col * 64 : (col + 1) * 64]
        expected[box] = smooth[box]
    np.testing.assert_array_equal(image, expected)


def test_full_and_sparse_with_the_same_tiles_have_one_name(tmp_path, smooth):
    places = [(r, c) for c in range(4) for r in range(5)]
    names = set()
    for name, sparse in (("a", None), ("b", places)):
        (tmp_path / name).mkdir()
        write_instance(tmp_path / name / "x.dcm", smooth, *uids(1), sparse=sparse)
        with open_slide(tmp_path / name) as slide:
            names.add(slide.fingerprint)
    assert len(names) == 1


@pytest.mark.parametrize("limit", [1 << 30, 1000])
def test_the_name_is_that_of_the_pixels(tmp_path, smooth, monkeypatch, limit):
    monkeypatch.setattr(fingerprint, "WHOLE_FILE_BYTES", limit)
    (uid,) = uids(1)

    def name_of(image, name, **options):
        write_instance(tmp_path / name, image, uid, **options)
        with open_slide(tmp_path / name) as slide:
            (tmp_path / name).rename(tmp_path / "moved")
            (tmp_path / "moved").unlink()
            return slide.fingerprint

    first = name_of(smooth, "a.dcm")
    assert name_of(smooth, "other ä.dcm") == first
    assert name_of(smooth, "a.dcm", PatientName="Roe^Richard") == first
    changed = smooth.copy()
    changed[200, 100] ^= 1
    assert name_of(changed, "a.dcm") != first
    assert name_of(smooth, "a.dcm", tile=32) != first


@pytest.mark.parametrize(
    "name",
    ["größe Ω 切片.dcm", "space #1 [x] {a}*?.dcm", "a::b%20c~.dcm", "noext"],
)
def test_names_of_all_kinds(tmp_path, smooth, name):
    folder = tmp_path / name
    folder.mkdir()
    write_instance(folder / name, smooth, *uids(1))
    for path in (folder, folder / name):
        with open_slide(path) as slide:
            np.testing.assert_array_equal(slide.levels[0], smooth)


def test_many_threads_read_the_same_pixels(series, smooth):
    with open_slide(series) as slide, ThreadPoolExecutor(8) as pool:
        slide._cache.capacity_bytes = 1
        boxes = [(y, x, y + 90, x + 70) for y in (0, 60, 200) for x in (0, 50, 120)] * 4
        for box, read in zip(
            boxes, pool.map(lambda box: slide.levels[0].read(*box), boxes), strict=True
        ):
            y0, x0, y1, x1 = box
            np.testing.assert_array_equal(read, smooth[y0:y1, x0:x1])


def test_closing_waits_and_then_refuses(series, closing_waits):
    slide = open_slide(series)
    closing_waits(slide, slide._source.levels[0]._gate)


def refused(path, problem):
    with pytest.raises(SlideError, match=problem) as caught:
        open_slide(path)
    assert caught.value.next_step.endswith(".")
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "changes", "problem"),
    [
        (np.zeros((64, 64), np.uint8), {}, "grey image of 8 bits"),
        (np.zeros((64, 64), np.uint16), {}, "grey image of 16 bits"),
        (np.zeros((64, 64, 3), np.uint16), {}, "16 bits per channel"),
        (
            np.zeros((64, 64, 3), np.uint8),
            {"PhotometricInterpretation": "PALETTE COLOR"},
            "PALETTE COLOR",
        ),
        (np.zeros((64, 64, 3), np.uint8), {"Rows": 0}, "makes no sense"),
        (
            np.zeros((64, 64, 3), np.uint8),
            {"TotalPixelMatrixRows": 1 << 31},
            "makes no sense",
        ),
        (np.zeros((64, 64, 3), np.uint8), {"NumberOfFrames": 1 << 30}, "no sense"),
        (np.zeros((64, 64, 3), np.uint8), {"NumberOfFrames": 9}, "broken|damaged"),
    ],
)
def test_what_is_no_rgb_slide_is_refused(tmp_path, image, changes, problem):
    path = tmp_path / "a.dcm"
    write_instance(path, image, *uids(1), **changes)
    refused(path, problem)


def test_an_overview_of_the_glass_is_no_slide(tmp_path, smooth):
    path = tmp_path / "a.dcm"
    write_instance(path, smooth, *uids(1), spacing_mm=0.028968)
    refused(path, r"28\.968 µm/px")


def test_pixels_that_are_not_square(tmp_path, smooth):
    path = tmp_path / "a.dcm"
    write_instance(path, smooth, *uids(1), spacing_mm=0.0005)
    import pydicom

    dataset = pydicom.dcmread(path)
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [0.0005, 0.0006]
    dataset.save_as(path)
    refused(path, "not square")


def test_a_label_alone(tmp_path, smooth):
    path = tmp_path / "a.dcm"
    write_instance(path, smooth, *uids(1), kind="LABEL")
    refused(path, "label, overview or thumbnail")


def test_a_folder_of_two_slides(tmp_path, smooth):
    for index, uid in enumerate(uids(2)):
        write_instance(tmp_path / f"{index}.dcm", smooth, uid)
    refused(tmp_path, "2 DICOM slides")
    with open_slide(tmp_path / "1.dcm") as slide:
        assert slide.shape == (300, 200)


def test_a_folder_of_too_many(series, monkeypatch):
    monkeypatch.setattr(dicom_series, "MAX_FILES", 2)
    refused(series, "more than 2 DICOM")


def test_another_kind_of_dicom(tmp_path, smooth):
    path = tmp_path / "a.dcm"
    write_instance(path, smooth, *uids(1), SOPClassUID="1.2.840.10008.5.1.4.1.1.91.1")
    refused(path, "no image of a slide")


def test_a_folder_behind_a_link(series, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(series, target_is_directory=True)
    with open_slide(link) as slide, open_slide(series) as plain:
        assert slide.shape == plain.shape
        assert slide.fingerprint == plain.fingerprint


def test_copies_of_an_instance(series):
    shutil.copy(series / "b.dcm", series / "c.dcm")
    with open_slide(series) as slide:
        assert len(slide.levels) == 2


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("name", ["a.dcm", "b.dcm", ""])
@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_truncated_level(tmp_path, smooth, share, name, codec):
    """The slide is not opened from the levels that are left."""
    (uid,) = uids(1)
    path = write_instance(tmp_path / "b.dcm", smooth, uid, codec=codec)
    write_instance(tmp_path / "a.dcm", halve(smooth), uid, spacing_mm=0.001)
    data = path.read_bytes()
    path.write_bytes(data[: max(int(share * len(data)), 200)])
    refused(tmp_path / name, "broken|damaged|cannot be read|truncated")


def test_a_tile_that_announces_too_much(tmp_path, smooth):
    for codec in ("jpeg", "jpegls"):
        path = tmp_path / f"{codec}.dcm"
        write_instance(path, smooth, *uids(1), codec=codec, tile=512)
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\xc0" if codec == "jpeg" else b"\xff\xf7\0")
        data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
        path.write_bytes(data)
        refused(path, "announces 4294836225")


def test_without_the_extra_the_error_names_it(series, without):
    without("wsidicom", "pydicom")
    with pytest.raises(SlideError, match="extra 'dicom'") as caught:
        open_slide(series)
    assert 'pip install "napari-her2[dicom]"' in caught.value.next_step


def test_the_real_slide_is_that_of_the_svs(real):
    folder = "wsi_vendor_formats/CMU-1-Small-Region"
    with open_slide(real(folder)) as dicom, open_slide(real(f"{folder}.svs")) as svs:
        assert (dicom.shape, dicom.mpp) == (svs.shape, svs.mpp) == ((2967, 2220), 0.499)
        assert [level.shape for level in dicom.levels] == [
            level.shape for level in svs.levels
        ]
        for one, other in zip(dicom.levels, svs.levels, strict=True):
            off = np.abs(np.asarray(one).astype(int) - np.asarray(other))
            assert off.mean() < 4


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("sm_image.dcm", ""),
        ("sm_image_dots.dcm", ""),
        ("sm_image_numbers.dcm", ""),
        ("sm_image_jpegls.dcm", ""),
        ("sm_image_jpegls_nobot.dcm", ""),
        ("sm_image_grayscale.dcm", "grey image of 16 bits"),
        ("sm_image_grayscale_reversed.dcm", "grey image of 16 bits"),
        ("sm_annotations.dcm", "no image of a slide"),
        ("testdata/test.dcm", "label, overview"),
        ("test_utils/dicom_store_mock/testdata/test_wsi.dcm", "label, overview"),
        ("testdata/multiframe_camelyon_challenge_image.dcm", r"28\.968 µm/px"),
    ],
)
def test_real_small_files(real, name, problem):
    import pydicom

    path = real(f"wsi_vendor_formats/{name}")
    if problem:
        refused(path, problem)
        return
    frames = pydicom.dcmread(path).pixel_array if "jpegls" not in name else None
    with open_slide(path) as slide:
        assert (slide.shape, slide.mpp) == ((50, 50), 0.499)
        if frames is not None:
            image = frames.reshape(5, 5, 10, 10, 3).transpose(0, 2, 1, 3, 4)
            np.testing.assert_array_equal(slide.levels[0], image.reshape(50, 50, 3))
