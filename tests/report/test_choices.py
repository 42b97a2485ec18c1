"""What the report's first section says of a plan."""

import subprocess
import sys

import pytest

from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan
from ernn.ir.structure import BlockCirculant, Dense, LoadBalanced, Pruned, Structure
from ernn.pipeline.summary import structure_item


@pytest.mark.parametrize(
    ("structure", "name", "value"),
    [
        (Dense(), "Block size", "1"),
        (BlockCirculant(8, pad=True), "Block size", "8"),
        (Pruned(0.125), "Density", "12.5 %"),
        (LoadBalanced(0.1, 16), "Density", "10 %"),
        (LowRank(4), "Structure", "LowRank(rank=4, stacked=False)"),
    ],
)
def test_one_structure(structure: Structure, name: str, value: str) -> None:
    item = structure_item(CompressionPlan(recurrent=structure).to_dict())
    assert (item.name, item.value) == (name, value)


def test_matrices_with_structures_of_their_own_are_all_named() -> None:
    plan = (
        CompressionPlan()
        .override("recurrent.0.weight_ih_l0", BlockCirculant(4))
        .override("output.weight", Dense())
    )
    item = structure_item(plan.to_dict())
    assert item.name == "Structures"
    assert (
        "recurrent.0.weight_ih_l0: BlockCirculant(block=4" in item.value
        and "output.weight: Dense()" in item.value
    )


def test_a_report_of_blocks_loads_no_torch() -> None:
    plan = CompressionPlan.blocks(8).to_dict()
    code = (
        "import sys; from ernn.pipeline.summary import structure_item; "
        f"print(structure_item({plan})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
