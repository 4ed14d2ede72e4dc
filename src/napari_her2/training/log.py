"""The training log: one CSV line per named value, kept across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from napari_her2.training.progress import TrainStage

_HEADER = "stage,step,name,value"


class TrainingLog:
    """Append values of a stage; what a restart will do again is forgotten.

    Parameters
    ----------
    path
        CSV file, created when missing.
    stage
        Written on every line.
    resumed_at
        Lines of this stage after this step are dropped.
    """

    def __init__(self, path: Path, stage: TrainStage, resumed_at: int) -> None:
        self.path, self.stage = path, stage
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        kept = [_HEADER, *(line for line in lines if self._keeps(line, resumed_at))]
        path.write_text("\n".join(kept) + "\n")

    def _keeps(self, line: str, resumed_at: int) -> bool:
        stage, step, _, _ = line.split(",")
        return stage != self.stage or int(step) <= resumed_at

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append the values of one step."""
        with self.path.open("a") as file:
            for name, value in values.items():
                file.write(f"{self.stage},{step},{name},{value:.6g}\n")
