"""Which network is wanted, as frozen values: validated, equal by content, in TOML or JSON on disk.

input_size = 40
outputs = 34
dropout = 0.1

[[layers]]
cell = "lstm"
hidden = 512
projection = 256
peepholes = true
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ernn.errors import UserError
from ernn.files import write_atomic
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
        """Plain values, options left at their default omitted: the form that JSON and TOML hold."""
        layers = [_changed(layer) for layer in self.layers]
        return {**_changed(self), "layers": layers}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelSpec":
        """The reverse of `to_dict`; a missing or unknown key raises UserError."""
        _check_keys("a model", cls, values)
        layers = values["layers"]
        listed = isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)
        _require(listed, f"layers must be a list of tables ([[layers]] in TOML), not {layers!r}")
        for layer in layers:
            _check_keys("a layer", LayerSpec, layer)
        return cls(**{**values, "layers": tuple(LayerSpec(**layer) for layer in layers)})

    def to_toml(self) -> str:
        values = self.to_dict()
        layers = values.pop("layers")
        tables = ["\n".join(["[[layers]]", *_toml_lines(layer)]) for layer in layers]
        return "\n\n".join(["\n".join(_toml_lines(values)), *tables]) + "\n"

    def save(self, path: Path | str) -> Path:
        """Write to a .toml or .json file, by its suffix."""
        text = self.to_toml() if _is_toml(path) else json.dumps(self.to_dict(), indent=2) + "\n"
        return write_atomic(path, text)


def load_model_spec(path: Path | str) -> ModelSpec:
    """Read what `ModelSpec.save`, or a person, wrote: .toml or .json."""
    parse = tomllib.loads if _is_toml(path) else json.loads
    try:
        values = parse(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid {Path(path).suffix[1:].upper()}: {error}") from error
    _require(
        isinstance(values, dict), f"{path} must hold a table of keys, not {type(values).__name__}"
    )
    return ModelSpec.from_dict(values)


def _is_toml(path: Path | str) -> bool:
    suffix = Path(path).suffix
    _require(
        suffix in (".toml", ".json"), f"a specification is a .toml or .json file, not {str(path)!r}"
    )
    return suffix == ".toml"


def _changed(spec: LayerSpec | ModelSpec) -> dict[str, Any]:
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {
        field.name: values[field.name]
        for field in fields(spec)
        if values[field.name] != field.default
    }


def _check_keys(what: str, kind: type[LayerSpec] | type[ModelSpec], values: dict[str, Any]) -> None:
    known = {field.name: field for field in fields(kind)}
    unknown = sorted(set(values) - set(known))
    _require(not unknown, f"{what} has no {', '.join(unknown)}: it has {', '.join(known)}")
    required = [field.name for field in fields(kind) if field.default is MISSING]
    missing = [name for name in required if name not in values]
    _require(not missing, f"{what} needs {', '.join(missing)}")


def _toml_lines(values: dict[str, Any]) -> list[str]:
    return [
        f"{name} = {json.dumps(value)}" for name, value in values.items()
    ]  # JSON's scalars are TOML's too
