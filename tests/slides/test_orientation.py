"""A slide that is stored turned or mirrored opens upright."""

import numpy as np
import pytest
import tifffile

from napari_her2.core.errors import SlideError
from napari_her2.slides.block_cache import BlockCache
from napari_her2.slides.flat_image import ArrayBlocks
from napari_her2.slides.orientation import ORIENTATIONS, UprightBlocks, upright
from napari_her2.slides.slide import open_slide

BACK = {6: 8, 8: 6}
"""The others are their own opposites."""


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        *[(1, "abcd"), (2, "badc"), (3, "dcba"), (4, "cdab")],
        *[(5, "acbd"), (6, "cadb"), (7, "dbca"), (8, "bdac")],
    ],
)
def test_every_orientation(orientation, corner):
    image = np.frombuffer(b"abcd", np.uint8).reshape(2, 2, 1)
    assert upright(image, orientation).tobytes() == corner.encode()


def stored(image, orientation):
    """Return how a file of an orientation holds an image."""
    return np.ascontiguousarray(upright(image, BACK.get(orientation, orientation)))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_is_written_turned_is_read_as_it_was(tiff, noise, orientation):
    image = noise(1100, 700)
    tags = [(274, 3, 1, orientation, True)]
    for options in ({"tile": (256, 128)}, {"rowsperstrip": 48}):
        path = tiff(stored(image, orientation), extratags=tags, **options)
        with open_slide(path) as slide:
            assert slide.shape == (1100, 700)
            np.testing.assert_array_equal(slide.levels[0], image)
            np.testing.assert_array_equal(
                slide.levels[0][301:733, 77:690], image[301:733, 77:690]
            )


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_block_lies_where_its_grid_says(noise, orientation):
    image = noise(1201, 533)
    blocks = UprightBlocks(
        ArrayBlocks(stored(image, orientation)), orientation, BlockCache()
    )
    assert blocks.shape == (1201, 533)
    np.testing.assert_array_equal(blocks.read_block(2, 1), image[1024:1201, 512:533])


def pyramid(path, image, of_level):
    """Write two levels, each with an orientation or without one."""
    with tifffile.TiffWriter(path) as writer:
        for index, orientation in enumerate(of_level):
            tags = [] if orientation is None else [(274, 3, 1, orientation, True)]
            writer.write(
                image[:: 2**index, :: 2**index],
                photometric="rgb",
                tile=(64, 64),
                subifds=1 if index == 0 else 0,
                subfiletype=min(index, 1),
                extratags=tags,
                metadata=None,
            )


def test_a_level_that_does_not_say_lies_as_the_finest(tmp_path, noise):
    image = noise(300, 200)
    pyramid(tmp_path / "a.tif", image, (6, None))
    with open_slide(tmp_path / "a.tif") as slide:
        assert [level.shape for level in slide.levels[:2]] == [
            (200, 300, 3),
            (100, 150, 3),
        ]
        np.testing.assert_array_equal(slide.levels[1], upright(image[::2, ::2], 6))


def test_levels_that_contradict_each_other(tmp_path, noise):
    pyramid(tmp_path / "a.tif", noise(300, 200), (6, 3))
    with pytest.raises(SlideError, match="contradict"):
        open_slide(tmp_path / "a.tif")
