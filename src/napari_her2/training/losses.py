"""Losses of the generator (stage A) and of the classifier (stage B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from napari_her2.training.config import Alignment


def _blur_kernel() -> Tensor:
    line = torch.exp(-0.5 * torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64) ** 2)
    kernel = torch.outer(line, line)
    return kernel / kernel.sum()


def octave(image: Tensor, blurs: int = 4) -> Tensor:
    """Blur an image, four times by default (3x3 Gaussian, sigma 1, reflected border).

    Pyramid Pix2Pix (arXiv 2204.11425) compares images after this blur;
    ``[..., ::2, ::2]`` of the result starts the next octave.
    """
    channels = image.shape[1]
    kernel = _blur_kernel().to(image).expand(channels, 1, 3, 3)
    for _ in range(blurs):
        padded = functional.pad(image, (1, 1, 1, 1), mode="reflect")
        image = functional.conv2d(padded, kernel, groups=channels)
    return image


def pyramid_l1(fake: Tensor, real: Tensor, scales: Sequence[int] = (0, 1)) -> Tensor:
    """Sum the L1 differences at the given scales (0 = full resolution).

    At scale s both images were blurred and halved s times. The loss at an
    octave is taken on its *first layer*, which is the decimated image.
    """
    total = fake.new_zeros(())
    for scale in range(max(scales) + 1):
        if scale:
            fake, real = octave(fake)[..., ::2, ::2], octave(real)[..., ::2, ::2]
        if scale in scales:
            total = total + functional.l1_loss(fake, real)
    return total


def gan_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Vanilla GAN loss: binary cross-entropy with logits."""
    target = torch.full_like(logits, float(real))
    return functional.binary_cross_entropy_with_logits(logits, target)


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """KL divergence of the softmax of features (B, C), mean over the batch."""
    return functional.kl_div(
        second.log_softmax(1),
        first.log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )


def mmd(first: Tensor, second: Tensor, sigma: float = 1.0) -> Tensor:
    """Squared maximum mean discrepancy of two batches (B, C), biased estimate.

    One Gaussian kernel exp(-d^2 / (2 sigma^2)), as the HER2 framework names it
    (arXiv 2506.10006).
    """

    def likeness(a: Tensor, b: Tensor) -> Tensor:
        squared = (a[:, None] - b[None]).square().sum(2)
        return (-squared / (2 * sigma**2)).exp().mean()

    within = likeness(first, first) + likeness(second, second)
    return within - 2 * likeness(first, second)


_ALIGNMENTS: dict[Alignment, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "mse": functional.mse_loss,
    "kl": kl_divergence,
    "mmd": mmd,
}


def shared_alignment(shared: Sequence[Tensor], measure: Alignment = "l1") -> Tensor:
    """ShaSpec's DAO: how far the pooled shared features (B, C) of stains are apart.

    Mean over cyclic consecutive pairs, where two stains make one pair; 0 for one
    stain. ShaSpec measures by L1 and tries MSE and KL (its table 5).
    """
    if len(shared) < 2:
        return shared[0].new_zeros(())
    pairs = list(pairwise(shared))
    if len(shared) > 2:
        pairs.append((shared[-1], shared[0]))
    apart = _ALIGNMENTS[measure]
    return torch.stack([apart(a, b) for a, b in pairs]).mean()


def domain_classification(logits: Sequence[Tensor]) -> Tensor:
    """ShaSpec's DCO: cross-entropy of telling the stain from specific features.

    ``logits[i]`` (B, N) belong to stain ``i``.
    """
    targets = [
        torch.full((len(part),), index, device=part.device)
        for index, part in enumerate(logits)
    ]
    return functional.cross_entropy(torch.cat(list(logits)), torch.cat(targets))


def classifier_loss(
    score: Tensor,
    alignment: Tensor,
    domain: Tensor,
    *,
    shared_weight: float = 0.1,
    domain_weight: float = 0.02,
) -> Tensor:
    """Score loss + .1 shared alignment + .02 domain classification."""
    return score + shared_weight * alignment + domain_weight * domain


def class_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Return n / (K n_c), clipped to [.25, 4], per class."""
    counts = torch.bincount(labels, minlength=n_classes).clamp(min=1)
    return (len(labels) / (n_classes * counts)).clamp(0.25, 4.0)
