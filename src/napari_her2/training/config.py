"""All that decides a training run; the defaults made the shipped bundle."""

from __future__ import annotations

from dataclasses import dataclass

from napari_her2.models.config import DEMO, NetworkConfig


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of a run on virtual slides.

    Parameters
    ----------
    seed
        Of the slides, the weights, and every draw while training.
    n_slides, n_validation_slides, n_test_slides
        Virtual slides to train the classifier on, to watch, and to score at the
        end; no slide is in two of the sets.
    n_generator_slides
        Further slides, restained instead of cut next to each other, that the
        generator learns from.
    tiles_per_slide
        Tiles drawn from each slide.
    morphology_signal
        How strongly the virtual H&E carries the HER2 level, in [0, 1].
    mpp, core_px, halo_px
        Geometry of the bundle, also of the tiles it is scored on.
    train_core_px
        Core of the training tiles, smaller than ``core_px`` to see more slides
        in the same time.
    jitter_um
        Largest shift of the IHC against the H&E while training the classifier:
        what registration leaves behind.
    generator_cycles, generator_batch, generator_crop_px, generator_rate
        Stage A: steps of each cycle, in which Adam's rate stays for one half and
        falls to zero in the other.
    moving_statistics_share
        Share of stage A's steps after which the generator's BatchNorm is frozen.
    pyramid_weight, pyramid_scales
        L1 loss between blurred images beside the GAN loss.
    classifier_steps, classifier_batch, classifier_rate, weight_decay
        Stage B, and AdamW's rate and decay. The batch counts quarters of tiles:
        they give four labels for the pixels of one.
    modality_dropout
        Chance of each stain to be missing in a sample, never both.
    all_stains_share
        Share of stage B's first steps in which no stain is dropped.
    shared_weight, domain_weight
        Weights of ShaSpec's DAO and DCO losses.
    checkpoint_steps
        A run that is started again goes on from the last multiple of this.
    processes
        Processes that render virtual slides; 0 renders in the calling one.
    network
        Architecture.
    """

    seed: int = 1
    n_slides: int = 112
    n_validation_slides: int = 8
    n_test_slides: int = 32
    n_generator_slides: int = 64
    tiles_per_slide: int = 4
    morphology_signal: float = 0.5
    mpp: float = 0.5
    core_px: int = 704
    halo_px: int = 64
    train_core_px: int = 512
    jitter_um: float = 10.0
    generator_cycles: tuple[int, ...] = (2500, 1500)
    generator_batch: int = 2
    generator_crop_px: int = 192
    generator_rate: float = 4e-4
    moving_statistics_share: float = 0.4
    pyramid_weight: float = 25.0
    pyramid_scales: tuple[int, ...] = (0, 1)
    classifier_steps: int = 2500
    classifier_batch: int = 8
    classifier_rate: float = 1e-3
    weight_decay: float = 1e-4
    modality_dropout: float = 0.25
    all_stains_share: float = 0.4
    shared_weight: float = 0.1
    domain_weight: float = 0.02
    checkpoint_steps: int = 100
    processes: int = 2
    network: NetworkConfig = DEMO
