"""Real and written slides of every format give the pixels that are in them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_her2.core.errors import SlideError
from napari_her2.core.score import Stain
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.halving import halve
from napari_her2.slides.pyramid_writer import write_pyramid
from napari_her2.slides.slide import Slide, open_slide
from napari_her2.slides.source import SlideSource
from napari_her2.slides.tiff_blocks import flatten_alpha, ycbcr_to_rgb

WSI = "wsi_vendor_formats"


@pytest.mark.parametrize(
    ("name", "shape", "mpp", "n_levels"),
    [
        (f"{WSI}/CMU-1-Small-Region.svs", (2967, 2220), 0.499, 3),
        (f"{WSI}/svs-images/tcga-cr-7395-01a-01-ts1.svs", (3567, 4443), None, 4),
        (f"{WSI}/test3-DAPI-2-(387).ndpi", (4864, 3968), 0.2282, 4),
        (f"{WSI}/yb10kx5k.zstd.tiff", (5000, 10000), None, 5),
        (f"{WSI}/tiff-images/kidney-48-5.tif", (901, 1493), None, 2),
        (f"{WSI}/rgb_im_8bit.tiff", (2048, 2048), None, 2),
        (
            "he_example_instanseg/instanseg/examples/HE_example.tif",
            (1484, 1380),
            0.5,
            2,
        ),
    ],
)
def test_real_tiffs(real, name, shape, mpp, n_levels):
    path = real(name)
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        assert slide.shape == shape
        assert slide.mpp == (mpp if mpp is None else pytest.approx(mpp, rel=1e-3))
        assert len(slide.levels) == n_levels
        assert max(slide.levels[-1].shape) <= 1024
        sizes = [level.size for level in slide.levels]
        assert sizes == sorted(set(sizes), reverse=True)
        for level in slide.levels:
            assert all(
                side in range(512, 1025) or side == full
                for side, full in zip(level.chunks[:2], level.shape, strict=False)
            )
        for level, theirs in zip(slide.levels, tiff.series[0].levels, strict=False):
            y, x = level.shape[0] // 3, level.shape[1] // 3
            box = np.s_[y : y + 300, x : x + 500]
            np.testing.assert_array_equal(level[box], theirs.asarray()[box])


def test_label_and_macro_are_no_levels(real):
    path = real(f"{WSI}/CMU-1-Small-Region.svs")
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        others = {series.shape for series in tiff.series if series.name != "Baseline"}
        assert len(others) == 3
        assert not others & {level.shape for level in slide.levels}


def test_label_and_macro_are_never_decoded(real, monkeypatch):
    path = real(f"{WSI}/test3-DAPI-2-(387).ndpi")
    with tifffile.TiffFile(path) as tiff:
        macro = next(s for s in tiff.series if s.name == "Macro").pages[0]
        assert macro.dataoffsets
    touched = []
    read_block = tifffile.TiffPage.asarray
    monkeypatch.setattr(
        tifffile.TiffPage,
        "asarray",
        lambda self, *args, **kwargs: touched.append(self) or read_block(self),
    )
    with open_slide(path, in_process=True) as slide:
        np.asarray(slide.levels[-1])
        offsets = {o for blocks in slide._source.levels for o in blocks.offsets}
    assert not touched
    assert not offsets & set(macro.dataoffsets)


def test_a_real_jpeg_gets_a_pyramid(real):
    path = real(
        "serial_section_landmarks/dataset/lung-lesion_3/scale-5pc/"
        "29-041-Izd2-w35-He-les3.jpg"
    )
    with open_slide(path, stain=Stain.HE) as slide:
        assert (slide.shape, slide.mpp, len(slide.levels)) == ((661, 892), None, 1)


def test_levels_that_lack_are_halved(tiff, noise):
    image = noise(2100, 1500)
    path = tiff(image, tile=(256, 256), compression="zlib")
    with open_slide(path) as slide:
        assert [level.shape[:2] for level in slide.levels] == [
            (2100, 1500),
            (1050, 750),
            (525, 375),
        ]
        expected = halve(image)
        np.testing.assert_array_equal(
            slide.levels[1][500:900, 100:600], expected[500:900, 100:600]
        )
        np.testing.assert_array_equal(slide.levels[2], halve(expected))
        # the second time from the scratch file
        slide._cache.clear()
        np.testing.assert_array_equal(slide.levels[2], halve(expected))
        assert [slide.downsample(i) for i in range(3)] == [1, 2, 4]


def test_a_factor_that_is_not_whole():
    images = [np.zeros((side, side, 3), np.uint8) for side in (1000, 400, 125)]
    source = SlideSource([ArrayBlocks(image) for image in images], None, "", int)
    slide = Slide(Path("a.tif"), source)
    assert [slide.downsample(i) for i in range(3)] == pytest.approx([1, 2.5, 8])


@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 7},
        {"rowsperstrip": 300},
        {"tile": (64, 128), "compression": "zlib", "predictor": True},
        {"tile": (64, 64), "compression": "lzw", "byteorder": ">"},
        {"tile": (64, 64), "compression": "zstd", "bigtiff": True},
        {"tile": (64, 64), "bigtiff": True, "byteorder": ">"},
    ],
)
def test_written_tiffs_are_exact(tiff, noise, options):
    image = noise(300, 331)
    with open_slide(tiff(image, **options)) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)


def test_planar_rgb(tiff, noise):
    image = noise(300, 331)
    path = tiff(image.transpose(2, 0, 1), planarconfig="separate", tile=(64, 64))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0], image)


def test_alpha_lies_over_white(tiff, noise):
    image = noise(100, 90, 4)
    path = tiff(image, tile=(64, 64), extrasamples=["unassalpha"])
    alpha = image[..., 3:] / 255
    expected = image[..., :3] * alpha + 255 * (1 - alpha)
    with open_slide(path) as slide:
        assert np.abs(np.asarray(slide.levels[0]) - expected).max() <= 1


def test_alpha_that_is_already_applied():
    image = np.array([[[100, 0, 50, 128], [255, 255, 255, 255]]], np.uint8)
    assert flatten_alpha(image, "multiplied").tolist() == [
        [[227, 127, 177], [255, 255, 255]]
    ]


def test_ycbcr_is_that_of_jpeg():
    image = np.array([[[76, 85, 255], [255, 128, 128]]], np.uint8)
    np.testing.assert_allclose(
        ycbcr_to_rgb(image), [[[254, 0, 0], [255, 255, 255]]], atol=1
    )


def test_a_block_that_was_left_out_is_white(tmp_path, noise):
    path = tmp_path / "a.tif"
    image = noise(64, 64)

    def tiles():
        yield image
        yield None

    tifffile.imwrite(
        path, tiles(), shape=(64, 128, 3), dtype="uint8", tile=(64, 64),
        photometric="rgb", metadata=None,
    )  # fmt: skip
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.levels[0][:, :64], image)
        assert (slide.levels[0][:, 64:] == 255).all()


def test_the_writers_slides_come_back(tmp_path, noise):
    image = noise(1300, 1100)
    path = tmp_path / "a.ome.tif"
    write_pyramid(
        path,
        image.shape[:2],
        0.25,
        lambda box: image[box.y0 : box.y1, box.x0 : box.x1],
        compression="zlib",
    )
    with open_slide(path) as slide:
        assert (slide.mpp, slide.is_synthetic) == (0.25, False)
        np.testing.assert_array_equal(slide.levels[0], image)
        np.testing.assert_array_equal(slide.levels[1], halve(image))
        assert len(slide.levels) == 2


def test_a_closed_slide_says_so(tiff, noise):
    slide = open_slide(tiff(noise(600, 600), tile=(256, 256)))
    slide.close()
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.levels[0][:10, :10]


def test_libraries_of_other_formats_are_not_loaded(tiff, noise):
    path = tiff(noise(64, 64))
    code = (
        "import sys; from napari_her2.slides.slide import open_slide; "
        f"open_slide({str(path)!r}).close(); "
        "print(sorted({'openslide', 'pydicom', 'wsidicom'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
