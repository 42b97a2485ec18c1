"""Recipes in TOML: what a person changes of a corpus's own recipe, checked before training.

dropout = 0.2

[[layers]]
cell = "lstm"
hidden = 512
projection = 256

[plan]                       # a block size, {block = 8, pad = true}, {density = 0.1, pes = 32}, ...
recurrent = 8
input = 16

[dense]                      # also [admm] and [retrain]: values of TrainSpec; [solver]: of AdmmSpec
epochs = 40

[distil]                     # compressed networks learn from the dense one too: of DistilSpec
labels = 0.3

[data]                       # then training with data rounded: values of DataSpec and DataBits
cell = 8
epochs = 4

[features]
kind = "logmel"
"""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError, one_line
from ernn.ground.plain import decode
from ernn.ground.reading import read_toml
from ernn.nn.spec import LayerSpec
from ernn.train.recipes import Recipe
from ernn.train.spec import AdmmSpec, DataSpec, DistilSpec, TrainSpec

KEYS = (
    "features",
    "layers",
    "dropout",
    "front",
    "plan",
    "dense",
    "admm",
    "solver",
    "retrain",
    "distil",
    "data",
)


def load_recipe(path: Path | str, base: Recipe) -> Recipe:
    """`base` with what the file says; UserError for a file, a key or a value that is wrong."""
    try:
        values = read_toml(path)
    except UserError as error:
        raise UserError(f"cannot read the recipe: {error}") from None
    try:
        return changed(base, values)
    except UserError as error:
        raise UserError(f"{path}: {one_line(error)}") from None


def changed(base: Recipe, values: dict[str, Any]) -> Recipe:
    """`base` with other values, in the form that TOML holds them."""
    _require_keys("a recipe", values, KEYS)
    changes: dict[str, Any] = {
        name: values[name] for name in ("dropout", "front") if name in values
    }
    for name in ("features", "plan", "dense", "admm", "solver", "retrain"):
        if name in values:
            changes[name] = _with(name, getattr(base, name), values[name])
    if "distil" in values:
        changes["distil"] = _with("distil", base.distil or DistilSpec(), values["distil"])
    if "data" in values:
        changes["data"] = _with("data", base.data or DataSpec(), values["data"])
    if "layers" in values:
        if not isinstance(values["layers"], list):
            raise UserError(f"layers must be tables, [[layers]], not {values['layers']!r}")
        changes["layers"] = tuple(_layer(layer) for layer in values["layers"])
    return replace(base, **changes)


def _layer(values: Any) -> LayerSpec:
    table = _table("layers", values)
    _require_keys("a layer", table, [field.name for field in fields(LayerSpec)])
    if missing := [name for name in ("cell", "hidden") if name not in table]:
        raise UserError(f"a layer needs {', '.join(missing)}")
    return LayerSpec(**table)


def _table(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UserError(f"{name} must be a table of keys, not {values!r}")
    return values


def _with(name: str, value: Any, table: Any) -> Any:
    """`value` with what `table` says; its own errors and values of a wrong kind name the table."""
    table = _table(name, table)
    try:
        match value:
            case TrainSpec() | AdmmSpec() | DistilSpec() | DataSpec():
                return type(value).from_dict({**value.to_dict(), **table})
            case CompressionPlan():
                return CompressionPlan.from_dict({**value.to_dict(), **table})
        _require_keys("it", table, [field.name for field in fields(value)])
    except (UserError, TypeError) as error:
        raise UserError(f"[{name}]: {error}") from None
    return decode(f"[{name}]", type(value), asdict(value) | table)


def _require_keys(what: str, values: dict[str, Any], known: Any) -> None:
    if unknown := sorted(set(values) - set(known)):
        raise UserError(f"{what} has no {', '.join(unknown)}: it has {', '.join(known)}")
