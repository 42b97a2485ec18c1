"""Plain values, as JSON and TOML hold them, to typed ones, by the types that a dataclass states.

A dataclass is an object, a tuple an array.  What a class validates itself is validated too: these
are its constructors that are called.
"""

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ernn.errors import UserError, one_line

T = TypeVar("T")


@cache
def hints(of: type) -> dict[str, Any]:
    """The types of a dataclass' fields."""
    found = get_type_hints(of)
    return {field.name: found[field.name] for field in fields(of)}


@cache
def required(of: type) -> tuple[str, ...]:
    """The fields that have no default."""
    given = (MISSING, MISSING)
    return tuple(f.name for f in fields(of) if (f.default, f.default_factory) == given)


def decode(path: str, of: type[T], plain: Any) -> T:
    """The value of class `of` that `plain` stands for; `path` names it in errors.

    Raises UserError where a field is missing, unknown, of another type, or refused by its class.
    """
    return _decoded(path, of, plain)


def with_fields(path: str, plain: Any, **types: Any) -> dict[str, Any]:
    """`plain`, an object that has these fields, of these types, and perhaps others.

    A field whose type admits None may be left out.
    """
    _require_kind(path, plain, dict, "an object")
    for name, hint in types.items():
        if not fits(plain.get(name), hint):
            raise UserError(f"{path} has no right {name}: {_shown(plain.get(name))}")
    return plain


def _decoded(path: str, hint: Any, plain: Any) -> Any:
    if is_dataclass(hint):
        return _object(path, hint, plain)
    match get_origin(hint):
        case kind if kind is tuple:
            return _tuple(path, get_args(hint), plain)
        case kind if kind is dict:
            _require_kind(path, plain, dict, "an object")
            inner = get_args(hint)[1]
            return {
                name: _decoded(f"{path}[{_shown(name)}]", inner, one) for name, one in plain.items()
            }
        case kind if kind in (Union, UnionType) and plain is not None:
            others = [one for one in get_args(hint) if one is not NoneType]
            if len(others) == 1:
                return _decoded(path, others[0], plain)
    if not fits(plain, hint):
        wanted = ", ".join(map(repr, get_args(hint))) if get_origin(hint) is Literal else ""
        told = f"must be one of {wanted}, not" if wanted else "has the wrong type:"
        raise UserError(f"{path} {told} {_shown(plain)}")
    return plain


def _object(path: str, of: Any, plain: Any) -> Any:
    _require_kind(path, plain, dict, "an object")
    known = hints(of)
    unknown = ", ".join(map(_shown, sorted(set(plain) - set(known))))
    if unknown:
        raise UserError(f"{path} has no field {unknown}")
    if missing := [name for name in required(of) if name not in plain]:
        raise UserError(f"{path} is incomplete: no {', no '.join(missing)}")
    given = {name: _decoded(f"{path}.{name}", known[name], one) for name, one in plain.items()}
    try:
        return of(**given)
    except UserError as error:
        raise UserError(f"{path}: {one_line(error)}") from None


def _tuple(path: str, inner: tuple[Any, ...], plain: Any) -> tuple[Any, ...]:
    _require_kind(path, plain, list, "an array")
    if inner[-1] is ...:
        if all(fits(one, inner[0]) for one in plain):  # so that long rows of numbers are fast
            return tuple(plain)
        inner = inner[:1] * len(plain)
    if len(inner) != len(plain):
        raise UserError(f"{path} must have {len(inner)} values, not {len(plain)}")
    return tuple(
        _decoded(f"{path}[{index}]", hint, one)
        for index, (hint, one) in enumerate(zip(inner, plain, strict=True))
    )


def fits(value: Any, hint: Any) -> bool:
    """Whether a typed value is of a stated type; a whole number is a float, a bool is no number."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if origin is tuple:
        inner = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if inner[-1] is ...:
            return all(fits(one, inner[0]) for one in value)
        return len(inner) == len(value) and all(map(fits, value, inner))
    if origin is dict:
        key, inner = get_args(hint)
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        return all(fits(name, key) and fits(one, inner) for name, one in pairs)
    if hint is float:
        return type(value) in (int, float)
    if hint in (int, bool, str):
        return type(value) is hint
    return hint is Any or isinstance(value, origin or hint)


def _shown(plain: Any) -> str:
    text = repr(plain)
    return text if len(text) <= 60 else f"{text[:60]} ..."


def _require_kind(path: str, plain: Any, kind: type, name: str) -> None:
    if not isinstance(plain, kind):
        raise UserError(f"{path} must be {name}, not {_shown(plain)}")
