"""A stage of milliseconds, also run as a program: alone, or by several processes."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import Adam

from napari_her2.training.config import TrainingConfig
from napari_her2.training.progress import TrainStage

FEATURES = 6


class TinyStage:
    """Linear regression with dropout; may run out of memory or get worse."""

    stage = TrainStage.CLASSIFIER

    def __init__(
        self,
        n_steps: int = 12,
        *,
        scores: dict[int, float] | None = None,
        memory: int = 1000,
        dropout: float = 0.5,
        ranks: tuple[int, ...] = (),
    ) -> None:
        self.n_steps, self.scores, self.memory = n_steps, scores or {}, memory
        self.config = TrainingConfig(classifier_batch=8)
        self.ranks = ranks
        torch.manual_seed(3)
        self.model = nn.Sequential(nn.Linear(FEATURES, 4), nn.Dropout(dropout))
        self.model.append(nn.Linear(4, 1))
        self.adam = Adam(self.model.parameters(), 0.05)
        self.batches: list[int] = []

    @property
    def modules(self):
        return {"model": self.model}

    @property
    def optimizers(self):
        return {"model": self.adam}

    def draw(self, rng: np.random.Generator) -> torch.Tensor:
        shape = (self.config.classifier_batch, FEATURES)
        return torch.from_numpy(rng.normal(size=shape)).float()

    def step(self, step: int, rng: np.random.Generator) -> dict[str, float]:
        batch = self.config.classifier_batch
        self.batches.append(batch)
        if batch > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        if self.ranks:  # what several processes would draw, in one
            draws = []
            for rank in self.ranks:
                alone = np.random.default_rng((5, self.order, step, rank))
                alone.integers(2**62)
                draws.append(self.draw(alone))
            x = torch.cat(draws)
        else:
            x = self.draw(rng)
        loss = (self.model(x)[:, 0] - x.sum(1)).square().mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        self.adam.step()
        score = self.scores.get(step + 1)
        watched = {} if score is None else {"validation_macro_f1": score}
        return {"loss": loss.item(), **watched}

    @property
    def order(self) -> int:
        return list(TrainStage).index(self.stage)


def main(out: Path, n_steps: int, dropout: float) -> None:
    """Train in ``out``, one line per step on standard output."""
    from napari_her2.training.distributed import processes, rank
    from napari_her2.training.steps import run_steps

    with processes():
        stage = TinyStage(n_steps, dropout=dropout)
        for progress in run_steps(stage, out, seed=5, checkpoint_steps=4):
            sys.stdout.write(f"{progress.step} {progress.losses['loss']!r}\n")
            sys.stdout.flush()
        weights = torch.cat([p.detach().flatten() for p in stage.model.parameters()])
        np.save(out / f"weights{rank()}.npy", weights.numpy())


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
