"""How much compressing each matrix of a run's dense network costs: a table and a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ernn.compress.plan import CompressionPlan, matrices, parse_structure
from ernn.compress.sensitivity import Sensitivity, sensitivity
from ernn.errors import UserError
from ernn.files import write_atomic, write_json
from ernn.ground.reading import parse_toml
from ernn.ir.structure import Structure
from ernn.pipeline import sequences
from ernn.pipeline.network import dense_model
from ernn.pipeline.run import Run
from ernn.report.heat import heat_map
from ernn.report.svg import standalone


@dataclass(frozen=True)
class SensitivityTable:
    """dense: validation error of the dense network in per cent; lines: with one part compressed.

    left_out: matrices that none of the structures fits.
    """

    dense: float
    lines: tuple[Sensitivity, ...]
    picture: Path
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, errors in per cent of the validation split."""
        return {
            "kind": "measured",
            "split": "validation",
            "dense": self.dense,
            "left_out": list(self.left_out),
            "lines": [
                {"part": line.part, "structure": str(line.structure), "error": line.error}
                | {"distance": line.distance, "stored": line.stored, "bits": line.bits}
                for line in self.lines
            ],
        }


def measure(run: Run, structures: Sequence[Structure], gates: bool = False) -> SensitivityTable:
    """Project one matrix (or gate) at a time, without retraining; errors on the validation split.

    Writes sensitivity.json and sensitivity.svg into the run's folder.
    """
    module, task = dense_model(run), sequences.prepared(run).task
    dense = task.score(module).percent
    lines = tuple(sensitivity(module, structures, lambda m: task.score(m).percent, gates))
    columns = list(dict.fromkeys(str(line.structure) for line in lines))
    rows = list(dict.fromkeys(line.part for line in lines))
    values = {(line.part, str(line.structure)): line.error - dense for line in lines}
    table = [[values.get((row, column)) for column in columns] for row in rows]
    label = f"points of validation error more than {dense:.2f} %, each part compressed alone"
    picture = write_atomic(
        run.path("sensitivity.svg"), standalone(heat_map(rows, columns, table, label))
    )
    fitted = {line.matrix for line in lines}
    left_out = tuple(
        one.name for one in matrices(module, CompressionPlan()) if one.name not in fitted
    )
    found = SensitivityTable(dense, lines, picture, left_out)
    write_json(run.path("sensitivity.json"), found.to_dict())
    return found


def structure_of(text: str) -> Structure:
    """A structure as a recipe writes it: 8, or {kind = "LowRank", rank = 16}; else UserError."""
    try:
        return parse_structure(parse_toml(f"structure = {text}", "it")["structure"])
    except UserError as error:
        raise UserError(
            f"{text!r} is not written as a recipe writes a structure: {error}"
        ) from error
