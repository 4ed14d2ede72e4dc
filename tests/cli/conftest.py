import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_her2.cli import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    own_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run ``napari-her2`` in this process: exit code, standard output, error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["napari-her2", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def unpaired(tmp_path: Path, virtual_case: Path) -> Path:
    """The H&E of the virtual case without its scale, as a flat image."""
    from skimage.io import imsave

    from napari_her2.slides.slide import open_slide

    content = json.loads(virtual_case.read_text())
    with open_slide(virtual_case.parent / content["he"]) as slide:
        path = tmp_path / "field.png"
        imsave(path, slide.levels[0][:300, :300], check_contrast=False)
    return path
