"""All that decides a training run; the defaults made the shipped bundle."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from napari_her2.models.config import DEMO, NetworkConfig

Alignment = Literal["l1", "mse", "kl", "mmd"]
SplitKind = Literal["slides", "published", "pseudo_slides"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Settings of a run on virtual slides.

    Parameters
    ----------
    seed
        Of the slides, the weights, and every draw while training.
    n_slides, n_validation_slides
        Virtual slides to train the classifier on, and to watch; none is in both.
    n_generator_slides
        Further slides, restained instead of cut next to each other, that the
        generator learns from.
    tiles_per_slide
        Tiles drawn from each slide.
    morphology_signal
        How strongly the virtual H&E carries the HER2 level, in [0, 1].
    mpp, core_px, halo_px
        Geometry of the bundle, also of the tiles it is scored on.
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
    selector_steps
        Steps of the stain selector.
    classifier_steps, classifier_batch, classifier_rate, weight_decay
        Stage B, and AdamW's rate and decay.
    single_stain_share, single_stain_ihc_share
        Share of stage B's first steps whose samples show one stain each, and the
        share of those that show the IHC: the encoders learn each stain's cells
        before they are fused, in cheap steps. The rate starts again with fusion.
    frozen_statistics_share
        Last share of each fall of the rate with BatchNorm as at inference.
    classifier_crop_px
        Side of the crops of stage B; the head learns whole cores afterwards.
    cell_weight
        Weight of the cross-entropy of the cell in a square, where cells are known.
    rebuilt_share
        Share of the dropped stains that the generator fills in; the rest leave
        the other stain's shared features.
    validation_steps
        Stage B calls the validation tiles after each multiple of this.
    head_tiles, head_steps, head_batch, head_rate
        Stage B's end: attention and head alone on the pooled features of this
        many whole cores.
    n_familiarity_slides
        Further slides that, with the training tiles, say what tissue is familiar.
    miss_share
        Share of the prediction sets that may miss the truth.
    recombined_share
        Share of those put together from quarters of a slide's cores, where cells
        are known.
    modality_dropout
        Chance of each stain to be missing in a sample, never both.
    all_stains_share
        Share of stage B's first steps of fusion in which no stain is dropped.
    shared_weight, domain_weight
        Weights of ShaSpec's DAO and DCO losses.
    alignment
        How DAO measures the distance of shared features: l1, mse, kl or mmd.
    validation_share, test_share
        Parts of an image data set to watch and to score, as shares of its pairs.
    split
        How they are chosen: ``slides`` keeps the pairs of a slide or patient
        together (a pair of unknown slide stands alone), ``published`` keeps the
        test set of the data set's authors, ``pseudo_slides`` keeps pairs together
        that look as if they were cut from one slide.
    unpacked_gib
        Largest unpacked copy of an image data set to keep in the folder of the
        run, in GiB; a larger one is decoded image by image in every step.
    generator_epochs, classifier_epochs, joint_epochs
        Times that an image data set is seen in a stage, instead of the number
        of steps: one crop of each image. None keeps the steps. Stage A's rate
        stays for one half and falls in the other.
    early_stop_patience
        Validations without a better macro-F1 after which stages B and C stop and
        take their best weights back; 0 trains to the end.
    joint_steps
        Stage C, generators and classifier together; 0 leaves it out.
    joint_generator_rate_share, joint_classifier_rate_share
        Stage C's learning rates as shares of those of stages A and B.
    joint_gradient_share
        Share of the score loss's gradient that goes into the generators.
    mixed_precision
        Compute convolutions in bfloat16; losses and weights stay float32.
    checkpoint_steps
        A run that is started again goes on from the last multiple of this.
    processes
        Processes that render virtual slides; 0 renders in the calling one.
    network
        Architecture.
    """

    seed: int = 1
    n_slides: int = 150
    n_validation_slides: int = 40
    n_generator_slides: int = 64
    n_familiarity_slides: int = 300
    tiles_per_slide: int = 2
    morphology_signal: float = 0.5
    mpp: float = 0.5
    core_px: int = 1024
    halo_px: int = 64
    jitter_um: float = 10.0
    generator_cycles: tuple[int, ...] = (2200, 1200)
    generator_batch: int = 2
    generator_crop_px: int = 192
    generator_rate: float = 4e-4
    moving_statistics_share: float = 0.4
    pyramid_weight: float = 25.0
    pyramid_scales: tuple[int, ...] = (0, 1)
    selector_steps: int = 150
    classifier_steps: int = 11000
    single_stain_share: float = 0.75
    single_stain_ihc_share: float = 0.75
    frozen_statistics_share: float = 0.2
    classifier_batch: int = 8
    classifier_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    classifier_crop_px: int = 256
    cell_weight: float = 10.0
    modality_dropout: float = 0.25
    rebuilt_share: float = 0.6
    validation_steps: int = 1500
    head_tiles: int = 300
    head_steps: int = 1000
    head_batch: int = 128
    head_rate: float = 5e-4
    recombined_share: float = 0.75
    miss_share: float = 0.1
    all_stains_share: float = 0.145
    shared_weight: float = 0.1
    domain_weight: float = 0.02
    alignment: Alignment = "l1"
    validation_share: float = 0.1
    test_share: float = 0.1
    split: SplitKind = "slides"
    unpacked_gib: float = 0.0
    generator_epochs: float | None = None
    classifier_epochs: float | None = None
    joint_epochs: float | None = None
    early_stop_patience: int = 0
    joint_steps: int = 0
    joint_generator_rate_share: float = 0.1
    joint_classifier_rate_share: float = 1.0
    joint_gradient_share: float = 0.1
    mixed_precision: bool = True
    checkpoint_steps: int = 100
    processes: int = 2
    network: NetworkConfig = DEMO

    def for_images(self, n_images: int) -> TrainingConfig:
        """Return the configuration with epochs counted in steps.

        An epoch of ``n_images`` has as many steps as batches hold them all.

        Examples
        --------
        >>> config = TrainingConfig(classifier_epochs=2, classifier_batch=8)
        >>> config.for_images(20).classifier_steps
        6
        """

        def steps(epochs: float, batch: int) -> int:
            return max(1, round(epochs * math.ceil(n_images / batch)))

        config = self
        if self.generator_epochs is not None:
            cycle = steps(self.generator_epochs, self.generator_batch)
            config = replace(config, generator_cycles=(cycle,))
        if self.classifier_epochs is not None:
            done = steps(self.classifier_epochs, self.classifier_batch)
            config = replace(config, classifier_steps=done)
        if self.joint_epochs is not None:
            done = steps(self.joint_epochs, self.classifier_batch)
            config = replace(config, joint_steps=done)
        return config
