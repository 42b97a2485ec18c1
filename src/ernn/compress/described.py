"""Structures and grids as plain values, {"kind": "LowRank", "rank": 16}, for JSON and TOML."""

from dataclasses import fields, is_dataclass
from typing import Any

from ernn.errors import UserError
from ernn.ground.plain import fits, hints
from ernn.ir.structure import Description, Structure, descriptions


def described(value: Description) -> dict[str, Any]:
    """The class's name under "kind", then its fields."""
    assert is_dataclass(value)
    return {"kind": type(value).__name__} | {
        field.name: _plain(getattr(value, field.name)) for field in fields(value)
    }


def from_description(values: dict[str, Any]) -> Structure:
    """The reverse of `described`. Raises UserError for a name or a field that is not known."""
    found = _value(values)
    if not isinstance(found, Structure):
        raise UserError(f"{values['kind']} is no structure of matrices")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Description):
        return described(value)
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_value(item) for item in value)
    if not isinstance(value, dict):
        return value
    known = {name: kind for name, kind in descriptions().items() if is_dataclass(kind)}
    name = value.get("kind")
    if not isinstance(name, str) or name not in known:
        raise UserError(f"no structure is called {name!r}; they are {', '.join(sorted(known))}")
    allowed = [field.name for field in fields(known[name])]
    if unknown := sorted(set(value) - {"kind", *allowed}):
        raise UserError(f"{name} has no {', '.join(unknown)}: it has {', '.join(allowed)}")
    given = {key: _value(item) for key, item in value.items() if key != "kind"}
    for key, item in given.items():
        if not fits(item, hints(known[name])[key]):
            raise UserError(f"{name} has a wrong {key}: {item!r}")
    try:
        return known[name](**given)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from error
