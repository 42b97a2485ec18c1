"""LSTM, GRU and linear layers as descriptions (`ernn.ir.cell`): the same integers as their own
types give.

What needs it is a layer whose products are to be changed, as `ernn.quantization.lowering` does; all
else keeps the types it has.
"""

import numpy as np

from ernn.errors import UserError
from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep
from ernn.ir.network import CellLayer, GruLayer, LinearLayer, LstmLayer, Matrix

BOTH = ("x", "h")

LINEAR = Cell(
    "linear", (CellStage((CellProduct("product", 1, ("x",)),), (CellStep("h", "product.0"),)),)
)

_R, _Z = CellStep("r", "gates.0", "sigmoid"), CellStep("z", "gates.1", "sigmoid")
_H = CellStep("h", "n + z*h - z*n", bounded=True)

GRU_AFTER = Cell(
    "GRU, reset after",
    (
        CellStage(
            (
                CellProduct("gates", 2, BOTH),
                CellProduct("candidate_input", 1, ("x",)),
                CellProduct("candidate", 1, ("h",)),
            ),
            (
                _R,
                _Z,
                CellStep("u", "candidate.0"),
                CellStep("n", "candidate_input.0 + r*u", "tanh"),
                _H,
            ),
        ),
    ),
)

GRU_BEFORE = Cell(
    "GRU, reset before",
    (
        CellStage((CellProduct("gates", 2, BOTH),), (_R, _Z, CellStep("s", "r*h", bounded=True))),
        CellStage(
            (CellProduct("candidate", 1, ("x", "s")),), (CellStep("n", "candidate.0", "tanh"), _H)
        ),
    ),
)


def lstm(peepholes: bool, projected: bool) -> Cell:
    """An LSTM's description; its vectors are p_i, p_f and p_o where it has peepholes."""
    inner = "m" if projected else "h"

    def gate(number: int, name: str) -> str:
        return f"gates.{number}" + (f" + c*p_{name}" if peepholes else "")

    steps = (
        CellStep("i", gate(0, "i"), "sigmoid"),
        CellStep("f", gate(1, "f"), "sigmoid"),
        CellStep("g", "gates.2", "tanh"),
        CellStep("c", "f*c + i*g"),
        CellStep("o", gate(3, "o"), "sigmoid"),
        CellStep("t", "c", "tanh"),
        CellStep(inner, "o*t", bounded=True),
    )
    stages = [CellStage((CellProduct("gates", 4, BOTH),), steps)]
    if projected:
        product = CellProduct("projection", 1, ("m",), bias=False)
        stages.append(CellStage((product,), (CellStep("h", "projection.0"),)))
    return Cell("LSTM", tuple(stages), ("p_i", "p_f", "p_o") if peepholes else ())


def as_cell(layer: LstmLayer | GruLayer | LinearLayer | CellLayer) -> CellLayer:
    """The layer as its description. Raises UserError where its states do not start from zero."""
    match layer:
        case LstmLayer():
            return _lstm(layer)
        case GruLayer():
            return _gru(layer)
        case LinearLayer():
            return CellLayer(LINEAR, ((layer.weight,),), (layer.bias[None],))
        case CellLayer():
            return layer


def _lstm(layer: LstmLayer) -> CellLayer:
    _require_zero(layer.initial_output, layer.initial_cell)
    cell = lstm(layer.peephole is not None, layer.projection is not None)
    weights: list[tuple[Matrix, ...]] = [(layer.input_weight, layer.recurrent_weight)]
    if layer.projection is not None:
        weights.append((layer.projection,))
    vectors = () if layer.peephole is None else tuple(layer.peephole)
    return CellLayer(cell, tuple(weights), (layer.bias, *[None] * (len(weights) - 1)), vectors)


def _gru(layer: GruLayer) -> CellLayer:
    _require_zero(layer.initial_output)
    both = layer.input_bias + layer.recurrent_bias
    into, back = layer.input_weight, layer.recurrent_weight
    gates = (into.part(0, 2), back.part(0, 2))
    if layer.reset == "after":
        biases = (both[:2], layer.input_bias[2:], layer.recurrent_bias[2:])
        return CellLayer(GRU_AFTER, (gates, (into.part(2, 3),), (back.part(2, 3),)), biases)
    return CellLayer(GRU_BEFORE, (gates, (into.part(2, 3), back.part(2, 3))), (both[:2], both[2:]))


def _require_zero(*states: np.ndarray | None) -> None:
    if any(state is not None and np.any(state) for state in states):
        raise UserError(
            "a layer with factored matrices starts from zero states: leave the initial states out"
        )
