"""A single wrong word is caught, and the first edge that it disturbs is named."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable
from ernn.rtl import bank
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.scheduling.slices import Slice
from ernn.scheduling.tape import Tape
from ernn.verify import prove, simulator_of
from ernn.verify.prove import Proof
from tests.models import random_integer_model

DESIGN = Design(pes=2, streams=2, chunk=2, lanes=1)


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    network = dict(cell="lstm", input_size=8, hidden=8, outputs=3, block=4)
    return random_integer_model(np.random.default_rng(5), **network)


def proof_of(plan: Schedule, model: IntegerModel) -> Proof:
    rng = np.random.default_rng(6)
    utterances = [rng.integers(-(1 << 14), 1 << 14, size=(6, 8)) for _ in range(4)]
    return prove(simulator_of(plan, frames=24), plan, utterances, golden=model)


def changed(values: np.ndarray, index: tuple[int, ...]) -> np.ndarray:
    copy = values.copy()
    copy[index] = copy[index] // 2 + 77
    return copy


def with_weight(model: IntegerModel) -> IntegerModel:
    """The recurrent matrix of gate f, block row 1, block column 0, bin 0."""
    layer = model.layers[0]
    first, second = layer.products[0].operands
    weights = changed(second.matrix.weights, (1, 1, 0, 0))
    bad = replace(second, matrix=replace(second.matrix, weights=weights))
    products = (replace(layer.products[0], operands=(first, bad)), *layer.products[1:])
    return replace(model, layers=(replace(layer, products=products), *model.layers[1:]))


def with_table(model: IntegerModel) -> IntegerModel:
    """The sigmoid's segment that holds zero and its neighbours."""

    def spoiled(table: ActivationTable) -> ActivationTable:
        base = table.base.copy()
        middle = len(base) // 2
        base[middle - 20 : middle + 20] += 99
        return replace(table, base=base)

    sigmoid, *others = model.tables
    assert sigmoid.function == "sigmoid"
    return replace(model, tables=(spoiled(sigmoid), *others))


def test_the_sound_engine_passes(model: IntegerModel) -> None:
    proof = proof_of(schedule(model, DESIGN), model)
    assert proof.passed
    assert (proof.frames, proof.integers, proof.mismatches) == (24, 72, 0)


@pytest.mark.parametrize(
    ("spoil", "edge", "time", "words"),
    [(with_weight, "l0.gates", 1, [3]), (with_table, "l0.i", 0, [0, 1])],
    ids=["weight", "table"],
)
def test_a_wrong_word_is_named(
    model: IntegerModel,
    spoil: Callable[[IntegerModel], IntegerModel],
    edge: str,
    time: int,
    words: list[int],
) -> None:
    """A weight to the lane: gate f, whose second block row is word 1 of it, after two of i."""
    proof = proof_of(schedule(spoil(model), DESIGN), model)
    assert proof.mismatches
    assert proof.divergence is not None
    assert (proof.divergence.edge, proof.divergence.time) == (edge, time)
    assert f"edge {edge}" in str(proof.divergence)
    assert f"time step {time}" in str(proof.divergence)
    assert proof.divergence.lane // model.block in words


def test_a_wrong_schedule_step_is_named(model: IntegerModel) -> None:
    plan = schedule(model, DESIGN)
    rows = [dict(row) for row in plan.array.rows]
    rows[2]["weights"] = rows[0]["weights"]
    proof = proof_of(replace(plan, array=Tape(tuple(rows))), model)
    assert proof.mismatches
    assert proof.divergence is not None
    assert proof.divergence.edge == "l0.gates"


def test_a_wrong_vector_step_is_named(model: IntegerModel) -> None:
    """Of two outputs, which are copied: the step is named, not its copy."""
    model = replace(model, outputs=("l1.h", "l0.h"))
    plan = schedule(model, DESIGN)
    rows = [dict(row) for row in plan.vector.rows]
    broken = next(i for i, row in enumerate(rows) if row["multiply"] and row["last"])
    rows[broken]["b"] += 1
    proof = proof_of(replace(plan, vector=Tape(tuple(rows))), model)
    assert proof.divergence is not None
    assert proof.divergence.edge == plan.edges[broken][0].name


def test_a_weight_that_an_upset_has_changed_is_told(
    model: IntegerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign, and the parity bit, which is in no number."""
    plan, sound = schedule(model, replace(DESIGN, parity=True)), bank.sliced
    assert proof_of(plan, model).passed
    for bit, wrong in ((11, True), (-1, False)):

        def upset(weights: np.ndarray, one: Slice, width: int, bit: int = bit) -> list[int]:
            first, second, *others = sound(weights, one, width)
            return [first, second ^ 1 << bit % one.bits(weights.shape[1]), *others]

        monkeypatch.setattr(bank, "sliced", upset)
        proof = proof_of(plan, model)
        assert any("the weight_fault port is high" in rule for rule in proof.violations)
        assert bool(proof.mismatches) == wrong
