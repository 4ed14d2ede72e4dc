"""The tables of an evaluation, from what ``results.json`` holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_her2.evaluation.arm_tables import (
    calls_table,
    class_table,
    error_table,
    gate_table,
    low_table,
    strata_table,
    unfamiliar_table,
)
from napari_her2.evaluation.curve_tables import (
    chance_table,
    ladder_gate_table,
    ladder_table,
    shift_table,
    signal_table,
)
from napari_her2.evaluation.progress import Stage
from napari_her2.evaluation.tables import Table
from napari_her2.evaluation.translation_tables import (
    advantage_table,
    feature_table,
    similarity_table,
)

Results = Mapping[str, Any]

_MAKERS: Mapping[Stage, tuple[Callable[[Results], Table | None], ...]] = {
    Stage.ARMS: (
        calls_table,
        strata_table,
        class_table,
        error_table,
        low_table,
        gate_table,
        unfamiliar_table,
    ),
    Stage.TRANSLATION: (similarity_table, advantage_table, feature_table),
    Stage.LADDER: (ladder_table, ladder_gate_table),
    Stage.SHIFT: (shift_table,),
    Stage.SIGNAL: (signal_table, chance_table),
}


def stage_tables(results: Results, stage: Stage) -> list[Table]:
    """Return the tables of one stage, none if it was not run."""
    if stage.value not in results:
        return []
    return [table for make in _MAKERS[stage] if (table := make(results)) is not None]


def result_tables(results: Results) -> list[Table]:
    """Return all tables of the stages that were run."""
    return [table for stage in Stage for table in stage_tables(results, stage)]
