"""Which network is wanted, as frozen values: validated, equal by content, and plain for JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from ernn.errors import UserError
from ernn.ir.cells import ResetGate

Cell = Literal[
    "lstm",
    "gru",
    "cifg",
    "mgu",
    "ligru",
    "sru",
    "qrnn",
    "indrnn",
    "rnn",
    "mingru",
    "fastgrnn",
    "lru",
]
"""All but the first two are described in `ernn.ir.cells`."""


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


def _require_size(name: str, value: Any) -> None:
    _require(
        type(value) is int and value >= 1,
        f"{name} must be a whole number of at least 1, not {value!r}",
    )


@dataclass(frozen=True)
class LayerSpec:
    """One recurrent layer of `hidden` units.

    LSTM: `projection` is the size the output is projected to (None: none), `peepholes` as in Sak et
    al. 2014. GRU: `reset` "after" the recurrent product (torch, cuDNN) or "before" it (E-RNN). rnn:
    `orthogonal` keeps the recurrent matrix orthogonal in training.
    """

    cell: Cell
    hidden: int
    projection: int | None = None
    peepholes: bool = False
    reset: ResetGate = "after"
    orthogonal: bool = False

    def __post_init__(self) -> None:
        _require(
            self.cell in get_args(Cell), f"cell must be one of {get_args(Cell)}, not {self.cell!r}"
        )
        _require_size("hidden", self.hidden)
        _require(
            type(self.peepholes) is bool, f"peepholes must be true or false, not {self.peepholes!r}"
        )
        _require(
            self.reset in get_args(ResetGate),
            f"reset must be one of {get_args(ResetGate)}, not {self.reset!r}",
        )
        name = {"gru": "a GRU", "lstm": "an LSTM"}.get(self.cell, f"the cell {self.cell!r}")
        if self.cell != "lstm":
            _require(
                self.projection is None,
                f"{name} has no projection: leave out projection = {self.projection}",
            )
            _require(not self.peepholes, f"{name} has no peepholes: leave out peepholes = true")
        if self.cell != "gru":
            _require(self.reset == "after", f"{name} has no reset gate: leave out reset = 'before'")
        _require(
            not self.orthogonal or self.cell == "rnn",
            f"{name} has no recurrent matrix to keep orthogonal: leave out orthogonal = true",
        )
        if self.projection is not None:
            _require_size("projection", self.projection)
            _require(
                self.projection < self.hidden,
                f"projection must be smaller than hidden = {self.hidden}, not {self.projection}",
            )

    @property
    def output_size(self) -> int:
        return self.hidden if self.projection is None else self.projection


@dataclass(frozen=True)
class ModelSpec:
    """Frames of `input_size` values through recurrent `layers` to `outputs` values a frame.

    `dropout` is the share of each recurrent layer's outputs set to zero in training. `front`:
    outputs of a linear layer before the recurrent ones (None: there is none). Left dense, it mixes
    the features freely before block-circulant matrices, which can only shift them within a block.
    """

    input_size: int
    layers: tuple[LayerSpec, ...]
    outputs: int
    dropout: float = 0.0
    front: int | None = None

    def __post_init__(self) -> None:
        _require_size("input_size", self.input_size)
        _require_size("outputs", self.outputs)
        _require(
            isinstance(self.layers, tuple)
            and all(isinstance(layer, LayerSpec) for layer in self.layers),
            f"layers must be a tuple of LayerSpec, not {self.layers!r}",
        )
        _require(len(self.layers) > 0, "a model needs at least one recurrent layer")
        if self.front is not None:
            _require_size("front", self.front)
        number = type(self.dropout) in (int, float)
        _require(
            number and 0 <= self.dropout < 1,
            f"dropout must be at least 0 and below 1, not {self.dropout!r}",
        )

    def with_units(self, counts: Sequence[int]) -> "ModelSpec":
        """The same network with so many units in each recurrent layer."""
        _require(
            len(counts) == len(self.layers),
            f"{len(counts)} counts for {len(self.layers)} recurrent layers",
        )
        return replace(
            self,
            layers=tuple(
                replace(one, hidden=n) for one, n in zip(self.layers, counts, strict=True)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, options left at their default omitted: the form that JSON holds."""
        layers = [_changed(layer) for layer in self.layers]
        return {**_changed(self), "layers": layers}


def _changed(spec: LayerSpec | ModelSpec) -> dict[str, Any]:
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {
        field.name: values[field.name]
        for field in fields(spec)
        if values[field.name] != field.default
    }
