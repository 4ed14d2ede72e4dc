"""The training log: one CSV line per named value, kept across restarts.

Where TensorBoard is installed, the values go there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_her2.training.checkpoint import unwritable
from napari_her2.training.progress import TrainStage

_HEADER = "stage,step,name,value"


class TrainingLog:
    """Append values of a stage; what a restart will do again is forgotten.

    Parameters
    ----------
    path
        CSV file, created when missing; TensorBoard's files lie in the folder
        ``tensorboard`` beside it.
    stage
        Written on every line.
    resumed_at
        Lines of this stage after this step are dropped.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """

    def __init__(self, path: Path, stage: TrainStage, resumed_at: int) -> None:
        self.path, self.stage = path, stage
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text().splitlines()[1:] if path.exists() else []
            kept = [_HEADER, *(line for line in lines if self._keeps(line, resumed_at))]
            path.write_text("\n".join(kept) + "\n")
        except OSError as error:
            raise unwritable(path, error) from error
        self._board = _board(path.parent / "tensorboard", resumed_at)

    def _keeps(self, line: str, resumed_at: int) -> bool:
        stage, step, _, _ = line.split(",")
        return stage != self.stage or int(step) <= resumed_at

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of one step.

        Raises
        ------
        StorageError
            If they cannot be written, for example because the disk is full.
        """
        try:
            with self.path.open("a") as file:
                for name, value in values.items():
                    file.write(f"{self.stage},{step},{name},{value:.6g}\n")
        except OSError as error:
            raise unwritable(self.path, error) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{self.stage}/{name}", value, step)

    def close(self) -> None:
        """Write what TensorBoard has not written yet."""
        if self._board is not None:
            self._board.close()


def _board(folder: Path, resumed_at: int) -> Any | None:
    """Return TensorBoard's writer, None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer: Any = SummaryWriter(str(folder), purge_step=resumed_at + 1)
    return writer
