import numpy as np
import pytest

from napari_her2.evaluation.image_similarity import EQUAL_DB, psnr, ssim


def test_two_flat_images_give_the_numbers_of_the_specification():
    first = np.full((64, 64, 3), 100, np.uint8)
    second = np.full((64, 64, 3), 110, np.uint8)
    assert psnr(first, second) == pytest.approx(28.1308, abs=5e-5)
    assert ssim(first, second) == pytest.approx(0.995476, abs=5e-7)


def test_psnr_equals_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert psnr(a, a) == EQUAL_DB
    assert ssim(a, a) == pytest.approx(1)
