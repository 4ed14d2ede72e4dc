import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_her2.slides.slide import open_slide

sys.path.insert(0, str(Path(__file__).parent))

from planting import WORDS, WRITERS, Planted, secrets_below, secrets_in


@pytest.fixture(scope="session")
def pixels(virtual_case) -> dict[str, np.ndarray]:
    """RGB of the virtual pair."""
    content = json.loads(virtual_case.read_text())
    images = {}
    for stain in ("he", "ihc"):
        with open_slide(virtual_case.parent / content[stain]) as slide:
            images[stain] = np.asarray(slide.levels[0])
    return images


@pytest.fixture
def plant(tmp_path_factory, pixels, virtual_case) -> Callable[[str], Planted]:
    """Write the virtual pair as a format, with secrets in all it can hold."""

    def write(kind: str) -> Planted:
        folder = tmp_path_factory.mktemp("case") / f"{WORDS} {kind}"
        folder.mkdir()
        paths = {}
        for stain, image in pixels.items():
            suffix, writer = WRITERS[kind]
            paths[stain] = folder / f"{WORDS} {stain}{suffix}"
            writer(paths[stain], image)
            found = secrets_below(paths[stain]) if paths[stain].is_dir() else []
            found += secrets_in(paths[stain].name)
            assert found, "planted"
        given = json.loads(virtual_case.read_text())
        about = {
            "schema": given["schema"],
            "case_id": "case-17",
            "he_to_ihc_um": given["he_to_ihc_um"],
            "he_mpp": 0.5,
            "ihc_mpp": 0.5,
        }
        about |= {stain: path.name for stain, path in paths.items()}
        manifest = folder / f"{WORDS}.her2case.json"
        manifest.write_text(json.dumps(about))
        return Planted(folder, paths["he"], paths["ihc"], manifest)

    return write
