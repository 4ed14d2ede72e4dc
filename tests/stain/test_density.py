import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_her2.stain.density import optical_density, white_of


@pytest.mark.parametrize("glass", [(240, 241, 243), (200, 198, 199), (245, 228, 232)])
def test_white_is_the_colour_of_the_glass(glass):
    image = np.full((60, 60, 3), glass, np.uint8)
    image[:40] = (120, 90, 150)
    assert white_of(image) == pytest.approx(glass, abs=1)


def test_white_beside_the_scanned_area_is_no_glass():
    image = np.full((60, 60, 3), 255, np.uint8)
    image[:30] = (221, 220, 222)
    assert white_of(image) == pytest.approx((221, 220, 222), abs=1)


def test_a_field_full_of_brown_makes_no_brown_glass():
    image = np.full((40, 40, 3), (190, 150, 110), np.uint8)
    white = white_of(image)
    assert white.min() >= 0.87 * white.max()


@given(grey=st.integers(1, 255), white=st.integers(121, 255))
def test_density_is_the_log_of_the_light_taken_away(grey, white):
    image = np.full((1, 1, 3), grey, np.uint8)
    density = optical_density(image, np.full(3, white, np.float32))
    assert density[0, 0, 0] == pytest.approx(max(0, np.log10(white / grey)), abs=1e-5)
