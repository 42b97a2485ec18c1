"""A run's integers as a delta network: what each threshold costs in errors and saves in work."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ernn.deltas.cycles import delta_cycles
from ernn.deltas.integer import run_deltas
from ernn.deltas.updates import Updates
from ernn.files import write_json
from ernn.golden.boundary import dequantize_output
from ernn.pipeline import sequences
from ernn.pipeline.chosen import chosen
from ernn.pipeline.kept import integer_utterances, model_of
from ernn.pipeline.network import score_of
from ernn.pipeline.run import Run
from ernn.scheduling.design import Design
from ernn.search.estimate import estimate

THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2)
NOTE = (
    "errors and shares are measured in golden; cycles are estimated, mean of all frames, for the "
    "run's design with a memory of sums that no engine has: columns shared evenly by its groups, "
    "or those whose words lie in their banks"
)
WITHOUT = (
    "errors and shares are measured in golden; cycles need an engine to be counted on: "
    "`ernn design` first"
)


def measure(run: Run, thresholds: Sequence[float], utterances: int) -> dict[str, Any]:
    """Error on the first validation utterances, shares in per cent and cycles, by threshold.

    Cycles are None where the run has no design. Writes deltas.json into the run's folder.
    """
    model = model_of(run)
    task = sequences.prepared(run).task
    examples = list(task.validation[:utterances])
    frames = integer_utterances(model, examples)
    design = chosen(run).design if run.done("design") else None
    lines = []
    for threshold in thresholds:
        outputs, updates = run_deltas(model, frames, threshold)
        numbers = [dequantize_output(model, found) for found in outputs]
        error = score_of(examples, numbers, task.objective).percent
        lines.append(
            {"threshold": threshold, "error": error} | _shares(updates) | _cycles(updates, design)
        )
    found = {
        "split": "validation",
        "utterances": len(examples),
        "frames": sum(len(one) for one in frames),
        "note": NOTE if design else WITHOUT,
        "without_deltas": None if design is None else estimate(model, design).cycles_per_frame,
        "lines": lines,
    }
    write_json(run.path("deltas.json"), found)
    return found


def _shares(updates: Updates) -> dict[str, float]:
    changed = np.concatenate([columns.ravel() for columns in updates.columns.values()])
    return {"columns": 100 * float(changed.mean()), "multiplications": 100 * updates.work.share}


def _cycles(updates: Updates, design: Design | None) -> dict[str, float | None]:
    if design is None:
        return {"cycles": None, "cycles_as_they_lie": None}
    each = {"cycles": True, "cycles_as_they_lie": False}
    return {
        name: float(delta_cycles(updates, design, balanced).mean())
        for name, balanced in each.items()
    }
