import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_her2.widgets.slide_rows import SlideRows

WIDE = bytes(imagecodecs.cms_profile("adobergb"))


@pytest.mark.parametrize(
    ("icc", "words"),
    [
        (None, "300 × 200 px   scale unknown"),
        (WIDE, "300 × 200 px   scale unknown   sRGB by profile"),
        (WIDE[:300], "300 × 200 px   scale unknown   colour profile unusable"),
    ],
)
def test_the_row_says_what_became_of_the_colours(desk, qtbot, tmp_path, icc, words):
    rng = np.random.default_rng(0)
    image = rng.normal((210, 130, 180), 20, (200, 300, 3)).clip(0, 255)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image.astype(np.uint8), photometric="rgb", iccprofile=icc)
    rows = SlideRows(desk)
    qtbot.addWidget(rows)
    desk.open_paths([path])
    assert [fact.text() for fact in rows.facts.values()] == [words, "no slide"]
