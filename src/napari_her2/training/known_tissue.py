"""Learn what familiar tissue looks like, and how far it may lie from the rest.

Quantiles and covariances come from all slides; the thresholds from distances of slides
that the fit had not seen, each part of the slides in turn being left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.models.appearance import appearance
from napari_her2.models.familiarity import (
    GROUPS,
    MANY_WINDOWS,
    QUANTILES,
    WINDOWS_PX,
    Familiarity,
    distances,
    normal_scores,
    tissue_rank,
)
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair

FALSE_ALARMS = ((0.012, 0.04, 0.07), (0.04, 0.1, 0.1))
"""Share of known windows beyond the threshold: as rendered and as JPEG, each with
much, some and little tissue. JPEG hides what tells tissue apart, so that its groups
are held tighter."""

FOLDS = 4
"""Parts of the slides; each gives thresholds for what was fitted on the others."""

JPEG_QUALITY = (75, 95)
MIN_WINDOWS = 40
"""A group of fewer known windows calls nothing familiar."""

_PER_IMAGE = 5
_SIGNALS = (0.0, 0.25, 0.5, 0.75, 1.0)
_CAP = 8.0


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image (h, w, 3) uint8 of a known slide, at the bundle's µm/px."""

    slide: int
    stain: Stain
    image: NDArray[np.uint8]


@dataclass(slots=True)
class _Group:
    """Windows of one stain, size, amount of tissue and acquisition."""

    features: list[Tensor] = field(default_factory=list)
    slides: list[int] = field(default_factory=list)


def fit_familiarity(images: Iterable[KnownImage]) -> Familiarity:
    """Fit the distances to known windows and set their thresholds.

    Parameters
    ----------
    images
        Of some two hundred slides or more, both stains, as a scan gives them; every
        image also counts as saved as JPEG, and IHC as resampled to another frame.
        White that no slide has (255 in all channels: beyond the slide) is left out.
    """
    groups = {index: _Group() for index in np.ndindex(*GROUPS)}
    for known in images:
        _collect(groups, known)
    return familiarity_of(
        {
            index: (torch.cat(group.features), np.array(group.slides))
            for index, group in groups.items()
            if group.features
        }
    )


def familiarity_of(
    windows: dict[tuple[int, ...], tuple[Tensor, NDArray[np.int64]]],
) -> Familiarity:
    """Fit from the features (n, F) and slides (n,) of the windows of every group."""
    width = next(iter(windows.values()))[0].shape[1]
    knots = torch.zeros(*GROUPS, width, len(QUANTILES))
    precision = torch.zeros(*GROUPS, width, width)
    threshold = torch.zeros(*GROUPS, 2)
    for index, (features, slides) in windows.items():
        known = np.unique(slides)
        if len(features) < MIN_WINDOWS or len(known) < 2 * FOLDS:
            continue
        fold = np.random.default_rng(0).permutation(len(known)) % FOLDS
        mine = fold[np.searchsorted(known, slides)]
        away = np.zeros(len(features))
        for part in range(FOLDS):
            seen, held = (torch.from_numpy(m) for m in (mine != part, mine == part))
            away[mine == part] = distances(features[held], *_fit(features[seen]))
        knots[index], precision[index] = _fit(features)
        limit = 1 - FALSE_ALARMS[index[3]][index[2]]
        single = float(np.quantile(away, limit))
        medians = _medians(away, slides)
        many = float(np.quantile(medians, limit)) if len(medians) else single
        threshold[index] = torch.tensor([single, min(many, single)])
    return Familiarity(knots, precision, threshold)


def shrunk_covariance(scores: Tensor) -> Tensor:
    """Return the covariance (F, F) of numbers (n, F) about 0, shrunk to a sphere.

    Ledoit and Wolf, J. Multivariate Anal. 88 (2004) 365: the share of the sphere is
    estimated from the data.
    """
    n, width = scores.shape
    plain = scores.T @ scores / n
    size = plain.diagonal().mean()
    sphere = torch.eye(width, dtype=scores.dtype) * size
    spread = ((plain - sphere) ** 2).sum()
    noise = ((scores**2).sum(1) ** 2).mean() / n - (plain**2).sum() / n
    share = float((noise / spread.clamp(min=1e-12)).clamp(0, 1))
    return (1 - share) * plain + share * sphere


def virtual_images(
    first_seed: int, n_slides: int, *, side_px: int = 640, mpp: float = 0.5
) -> Iterator[KnownImage]:
    """Render a box of both stains of virtual slides, anywhere on them.

    Morphology signal and kind of section vary as the phantom lets them.
    """
    for seed in range(first_seed, first_seed + n_slides):
        rng = np.random.default_rng((seed, 99))
        recipe = draw_recipe(
            seed,
            morphology_signal=float(rng.choice(_SIGNALS)),
            mpp=mpp,
            section="same" if rng.random() < 0.5 else "serial",
        )
        pair = VirtualPair(recipe)
        for stain in Stain:
            height, width = pair.shape_px(stain)
            side = min(side_px, height, width)
            y, x = (int(rng.integers(0, n - side + 1)) for n in (height, width))
            box = BoxPx(y, x, y + side, x + side)
            yield KnownImage(seed, stain, pair.render(stain, box))


def tile_images(
    he: Any,
    ihc: Any,
    slides: Sequence[int],
    first_slide: int = 0,
) -> Iterator[KnownImage]:
    """Yield training tiles (``Tiles.he``, ``.ihc``, ``.slides``) as known images.

    ``first_slide`` is added to the slide numbers, so that they differ from those of
    other sources.
    """
    for index, slide in enumerate(slides):
        for stain, source in ((Stain.HE, he), (Stain.IHC, ihc)):
            yield KnownImage(first_slide + int(slide), stain, np.asarray(source[index]))


def _collect(groups: dict[tuple[int, ...], _Group], known: KnownImage) -> None:
    rng = np.random.default_rng((known.slide, list(Stain).index(known.stain)))
    variants = [(0, known.image), (1, _as_jpeg(known.image, rng))]
    if known.stain is Stain.IHC:
        variants.append((0, _turned(known.image, rng)))
    for (acquisition, image), (size, px) in product(variants, enumerate(WINDOWS_PX)):
        windows = [w for w in _windows(image, px) if not _is_beyond_slide(w)]
        chosen = rng.permutation(len(windows))[:_PER_IMAGE]
        if not len(chosen):
            continue
        batch = np.stack([windows[i] for i in chosen]).astype(np.float32) / 255
        features, tissue = appearance(torch.from_numpy(batch).permute(0, 3, 1, 2))
        stain = list(Stain).index(known.stain)
        for row, rank in zip(features, tissue_rank(tissue).tolist(), strict=True):
            if rank >= 0:
                group = groups[stain, size, rank, acquisition]
                group.features.append(row[None])
                group.slides.append(known.slide)


def _windows(image: NDArray[np.uint8], px: int) -> list[NDArray[np.uint8]]:
    rows, columns = image.shape[0] // px, image.shape[1] // px
    top = (image.shape[0] - rows * px) // 2
    left = (image.shape[1] - columns * px) // 2
    return [
        image[top + i * px : top + (i + 1) * px, left + j * px : left + (j + 1) * px]
        for i, j in np.ndindex(rows, columns)
    ]


def _is_beyond_slide(window: NDArray[np.uint8]) -> bool:
    return bool((window.min(2) == 255).mean() >= 0.01)


def _as_jpeg(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    quality = int(rng.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
    stream = io.BytesIO()
    # most programs halve the colours (4:2:0), some keep them (4:4:4)
    subsampling = int(rng.choice([0, 2, 2, 2]))
    Image.fromarray(image).save(
        stream, "JPEG", quality=quality, subsampling=subsampling
    )
    return np.asarray(Image.open(stream))


def _turned(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Resample an image as the frame of the other section does: bilinear, turned."""
    angle = float(rng.uniform(2, 9) * rng.choice([-1, 1]))
    turned = Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)
    edge = int(0.09 * max(image.shape[:2])) + 1
    return np.asarray(turned)[edge:-edge, edge:-edge]


def _fit(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return knots and precision of numbers (n, F)."""
    known = features.double()
    at = torch.quantile(known, torch.tensor(QUANTILES, dtype=known.dtype), dim=0)
    knots = at.T.contiguous()
    scores = normal_scores(known, knots).clamp(-_CAP, _CAP)
    return knots, torch.linalg.inv(shrunk_covariance(scores))


def _medians(
    away: NDArray[np.float64], slides: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the median of the first windows of every slide that has enough."""
    each = [away[slides == slide][:MANY_WINDOWS] for slide in np.unique(slides)]
    return np.array([np.median(one) for one in each if len(one) == MANY_WINDOWS])
