"""How far virtual tissue lies from real slides, in colour and in texture.

Prints, for H&E and for HER2 IHC, the earth mover's distance of optical densities
(mean over R, G, B) between virtual slides and real ones beside the distances
among the real ones, and the slope of the radial power spectrum of brightness.
The real images are those of a folder laid out like the project's public data.

    python benchmarks/phantom_realism.py DATA_FOLDER [--slides 6]
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import wasserstein_distance
from skimage.data import immunohistochemistry

from napari_her2.core.geometry import BoxPx
from napari_her2.core.score import Score, Stain
from napari_her2.phantom.recipe import draw_recipe
from napari_her2.phantom.slide import VirtualPair
from napari_her2.slides.slide import open_slide

MPP = 0.5
SIDE_PX = 640
Pixels = NDArray[np.uint8]


def real_images(folder: Path) -> dict[Stain, dict[str, Pixels]]:
    """Read the real images, brought to about 0.5 µm/px."""
    vendor = folder / "wsi_vendor_formats"
    core = folder / "he_example_instanseg/instanseg/examples/HE_example.tif"
    ihc = sorted((folder / "her2_ihc_tma_esophagus/example_images").glob("*.jpg"))
    cores = {
        f"core {path.name[0]}": np.asarray(Image.open(path).reduce(2)) for path in ihc
    }
    return {
        Stain.HE: {
            "CMU-1": _level0(vendor / "CMU-1-Small-Region.svs"),
            "TCGA-CR": _level0(vendor / "svs-images/tcga-cr-7395-01a-01-ts1.svs"),
            "HE core": _level0(core),
        },
        Stain.IHC: {**cores, "colon gland": immunohistochemistry()},
    }


def _level0(path: Path) -> Pixels:
    with open_slide(path) as slide:
        return np.asarray(slide.levels[0][:, :])[..., :3]


def tissue_patches(image: Pixels, rng: np.random.Generator) -> list[Pixels]:
    """Draw up to six squares that hold mostly tissue."""
    side = min(SIDE_PX, *image.shape[:2])
    found = []
    for _ in range(200):
        y = int(rng.integers(image.shape[0] - side + 1))
        x = int(rng.integers(image.shape[1] - side + 1))
        patch = image[y : y + side, x : x + side]
        if (density(patch).mean(-1) > 0.05).mean() > 0.4:
            found.append(patch)
        if len(found) == 6:
            break
    return found


def density(image: Pixels) -> NDArray[np.float64]:
    """Return the optical density against the image's own white."""
    white = np.percentile(image.reshape(-1, 3), 99.5, axis=0)
    return -np.log10(np.clip(image, 1, None) / np.maximum(white, 1))


def colour_distance(a: list[Pixels], b: list[Pixels]) -> float:
    """Earth mover's distance in optical density, mean over the channels."""
    first, second = (
        np.concatenate([density(patch)[::4, ::4].reshape(-1, 3) for patch in patches])
        for patches in (a, b)
    )
    return float(
        np.mean([wasserstein_distance(first[:, c], second[:, c]) for c in range(3)])
    )


def spectrum_slope(patches: list[Pixels]) -> float:
    """Slope of log power over log frequency between 1/32 and 1/4 per pixel."""
    slopes = []
    for patch in patches:
        grey = patch.astype(float).mean(-1)
        window = np.hanning(grey.shape[0])[:, None] * np.hanning(grey.shape[1])
        power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
        fy, fx = np.fft.fftfreq(grey.shape[0]), np.fft.fftfreq(grey.shape[1])
        radius = np.hypot(fy[:, None], fx[None, :])
        edges = np.geomspace(1 / 32, 1 / 4, 13)
        level = [
            power[(radius >= low) & (radius < high)].mean()
            for low, high in itertools.pairwise(edges)
        ]
        middle = np.sqrt(edges[1:] * edges[:-1])
        slopes.append(np.polyfit(np.log(middle), np.log(level), 1)[0])
    return float(np.mean(slopes))


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slides", type=int, default=6)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pairs = [
        VirtualPair(
            draw_recipe(
                900 + n, stratum=list(Score)[n % 5], width_um=900, height_um=900
            )
        )
        for n in range(options.slides)
    ]
    for stain, images in real_images(options.folder).items():
        real = {name: tissue_patches(image, rng) for name, image in images.items()}
        real = {name: patches for name, patches in real.items() if patches}
        virtual = [
            tissue_patches(
                pair.render(stain, BoxPx.of_shape(pair.shape_px(stain))), rng
            )
            for pair in pairs
        ]
        among = [
            colour_distance(a, b) for a, b in itertools.combinations(real.values(), 2)
        ]
        across = [colour_distance(a, b) for a in virtual if a for b in real.values()]
        nearest = [
            min(colour_distance(a, b) for b in real.values()) for a in virtual if a
        ]
        print(f"{stain.label}, {MPP} µm/px, {len(virtual)} virtual slides")
        print(f"  colour distance among real:       {_range(among)}")
        print(f"  colour distance virtual to real:  {_range(across)}")
        print(f"  virtual to its nearest real:      {_range(nearest)}")
        for name, patches in real.items():
            _print_texture(name, patches)
        for patches in filter(None, virtual):
            _print_texture("virtual", patches)


def _print_texture(name: str, patches: list[Pixels]) -> None:
    mean = np.concatenate([density(p).reshape(-1, 3) for p in patches]).mean(0)
    slope = spectrum_slope(patches)
    print(f"  {name:12s} spectrum slope {slope:.2f}, mean OD {mean.round(3)}")


def _range(values: list[float]) -> str:
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
