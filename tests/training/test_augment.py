import numpy as np
import torch

from napari_her2.training.augment import Turn, to_tensor, vary_he, vary_ihc


def test_the_eight_turns_differ_and_keep_the_pixels():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    turned = [Turn(k, f).apply(image) for k in range(4) for f in (False, True)]
    assert len({t.tobytes() for t in turned}) == 8
    assert all(np.array_equal(np.sort(t, None), np.sort(image, None)) for t in turned)


def test_images_become_a_batch_between_0_and_1():
    image = np.full((4, 5, 3), 255, np.uint8)
    batch = to_tensor([image, image])
    assert batch.shape == (2, 3, 4, 5)
    assert batch.max() == 1


def test_ihc_keeps_its_hue_and_nearly_its_strength():
    """The ratio of optical densities of the channels is the hue of a stain."""
    brown = torch.tensor([0.7, 0.5, 0.3]).view(1, 3, 1, 1).expand(40, 3, 2, 2)
    varied = vary_ihc(brown, np.random.default_rng(0))
    assert (varied / brown - 1).abs().max() < 0.13
    grey = torch.ones(40, 3, 2, 2) * 0.5
    varied = vary_ihc(grey, np.random.default_rng(0))
    assert torch.allclose(varied[:, 0], varied[:, 2])


def test_he_varies_by_channel_and_stays_in_range():
    images = torch.rand(20, 3, 4, 4)
    varied = vary_he(images, np.random.default_rng(0))
    assert varied.min() >= 0
    assert varied.max() <= 1
    grey = vary_he(torch.full((20, 3, 2, 2), 0.5), np.random.default_rng(1))
    assert not torch.allclose(grey[:, 0], grey[:, 2])
