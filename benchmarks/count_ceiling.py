"""How well regions can be scored from cells: what limits a classifier of regions.

    python benchmarks/count_ceiling.py [regions]

Virtual regions of 1024 px are drawn without rendering them. Scored are three
readers: one who names the pattern of every cell, wrong in some of 100 cells by a
neighbouring pattern, and applies the guideline to the counts; networks that learn
what such counts or their roots mean (one linear layer; a hidden layer of 64); and a
network that is told every membrane's optical density and completeness, in bins,
instead of a pattern. Two thirds of the regions are learned from, one third is scored.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Stain
from napari_her2.models.head import count_features
from napari_her2.phantom.cells import CellKind, Epithelium
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.phantom.terrain import Terrain
from napari_her2.training.labels import label_of

FIRST_SEED = 700_000_000
MPP, SIDE_PX, HALO_PX = 0.5, 1024, 64
SQUARES = (SIDE_PX // 16) ** 2
NEIGHBOURS = {0: (1,), 1: (0, 3), 2: (1, 3), 3: (1, 4), 4: (3,)}
OD_EDGES = np.array(
    [
        0.01,
        0.03,
        0.05,
        0.07,
        0.1,
        0.13,
        0.16,
        0.2,
        0.25,
        0.3,
        0.36,
        0.43,
        0.5,
        0.57,
        0.64,
        0.72,
        0.82,
        0.95,
        1.2,
    ]
)
COMPLETENESS_EDGES = np.array([0.05, 0.2, 0.5, 0.72, 0.9])


def draw_region(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cells by pattern (5,) and by density and completeness (20 x 6,)."""
    pair = VirtualPair(draw_recipe(seed, morphology_signal=0.5, mpp=MPP))
    rng = np.random.default_rng(seed)
    height, width = pair.shape_px(Stain.HE)
    for _ in range(6):
        y = int(rng.integers(HALO_PX, height - SIDE_PX - HALO_PX))
        x = int(rng.integers(HALO_PX, width - SIDE_PX - HALO_PX))
        box_px = BoxPx(y, x, y + SIDE_PX, x + SIDE_PX)
        box, around = box_px.to_um(MPP), box_px.padded(40).to_um(MPP)
        terrain = Terrain(pair.recipe, around, pair.recipe.offset.depth_um)
        cells = Epithelium(terrain, around, Stain.IHC)
        inside = (cells.y_um >= box.y0) & (cells.y_um < box.y1)
        inside &= (cells.x_um >= box.x0) & (cells.x_um < box.x1)
        mine = inside & (cells.kind == CellKind.INVASIVE)
        if mine.sum() >= 60:
            break
    her2 = cells.her2()
    patterns = np.bincount(her2.pattern[mine], minlength=5)
    density = her2.peak_od[mine] * pair.recipe.ihc.second_od
    density *= np.exp(0.1 * rng.standard_normal(len(density)))  # thickness
    bins = np.zeros((len(OD_EDGES) + 1, len(COMPLETENESS_EDGES) + 1))
    where = (
        np.digitize(density, OD_EDGES),
        np.digitize(her2.completeness[mine], COMPLETENESS_EDGES),
    )
    np.add.at(bins, where, 1)
    return patterns, bins.ravel()


def confused(counts: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Move a share of the cells to a neighbouring pattern."""
    moved = np.zeros_like(counts)
    for row, cells in enumerate(counts):
        for pattern, number in enumerate(cells):
            wrong = rng.binomial(number, share)
            moved[row, pattern] += number - wrong
            others = NEIGHBOURS[pattern]
            for other, n in zip(
                others,
                rng.multinomial(wrong, [1 / len(others)] * len(others)),
                strict=True,
            ):
                moved[row, other] += n
    return moved


def learned(
    inputs: torch.Tensor, truth: np.ndarray, unseen: torch.Tensor, hidden: int
) -> np.ndarray:
    """Return what a small network calls unseen regions."""
    torch.manual_seed(0)
    width = inputs.shape[1]
    network = (
        nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 6))
        if hidden
        else nn.Linear(width, 6)
    )
    adam = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-3)
    labels = torch.from_numpy(truth)
    for _ in range(3000):
        rows = torch.randint(len(inputs), (256,))
        adam.zero_grad()
        nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
        adam.step()
    return network(unseen).argmax(1).numpy()


def main(n_regions: int) -> None:
    """Draw, learn, score and print."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    drawn = [draw_region(FIRST_SEED + k) for k in range(n_regions)]
    counts = np.array([patterns for patterns, _ in drawn])
    truth = np.array([label_of(row) for row in counts])
    cut = 2 * n_regions // 3
    print(f"{cut} regions learned from, {n_regions - cut} scored")
    print("cells wrong | guideline | linear, plain | linear, roots | hidden, roots")
    for share in (0.0, 0.01, 0.02, 0.05, 0.1):
        seen = np.concatenate([confused(counts[:cut], share, rng) for _ in range(20)])
        asked = confused(counts[cut:], share, rng)
        labels = np.tile(truth[:cut], 20)
        calls = [
            np.array([label_of(row) for row in asked]),
            learned(_plain(seen), labels, _plain(asked), 0),
            learned(_roots(seen), labels, _roots(asked), 0),
            learned(_roots(seen), labels, _roots(asked), 64),
        ]
        right = [(call == truth[cut:]).mean() for call in calls]
        print(f"{share:11.0%} | " + " | ".join(f"{value:.3f}" for value in right))
    bins = np.array([measured for _, measured in drawn])
    pairs = rng.integers(0, cut, (20_000, 2))  # two regions at once are one more
    labels = np.array([label_of(counts[pair].sum(0)) for pair in pairs])
    called = learned(
        _binned(bins[pairs].sum(1) / 2), labels, _binned(bins[cut:]), hidden=64
    )
    print(f"told every membrane: {(called == truth[cut:]).mean():.3f}")


def _plain(counts: np.ndarray) -> torch.Tensor:
    return torch.tensor(counts / 300, dtype=torch.float32)


def _roots(counts: np.ndarray) -> torch.Tensor:
    return count_features(torch.tensor(counts / SQUARES, dtype=torch.float32))


def _binned(bins: np.ndarray) -> torch.Tensor:
    return torch.tensor(0.3 * np.sqrt(bins), dtype=torch.float32)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 900)
