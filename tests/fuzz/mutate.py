"""Mutations of a file: of its bytes, and of the values that it holds."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

DEEP: Any = []
for _ in range(100):
    DEEP = [DEEP]
NASTY: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 2**31, 2**62, 2**63, 2**64, 10**30, 10**400,
    0.5, -0.0, 1e308, 1e-308, float("nan"), float("inf"),
    "", "x", "h@1", "../x", "/etc/passwd", "a\nb", "\0", "\ud800", "x" * 2000,
    [], [[]], [1, "a"], {}, {"a": 1}, DEEP,
)  # fmt: skip
WHOLE = (0, 1, -1, 2**31, 2**53 + 1, 2**63, 10**30)
REAL = (0.0, -1.0, 1e-308, 1e-30, 1e30, 1e300, -1e308)
TOKENS = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80", b"\n", b"\r\n",
    b" ", b"-1", b"9" * 30, b"1e999", b"NaN", b'"', b"{", b"}", b"[" * 70, b"]", b",", b":", b"=",
    b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", b"#", b"../", b"\\u0000", b"\\ud800",
)  # fmt: skip


def damaged(content: bytes, chance: random.Random) -> bytes:
    """One to four changes of the bytes."""
    made = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        chance.choice(CHANGES)(made, chance)
    return bytes(made)


def _flip(made: bytearray, chance: random.Random) -> None:
    if made:
        made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)


def _set(made: bytearray, chance: random.Random) -> None:
    if made:
        made[chance.randrange(len(made))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x30, 0x22))


def _insert(made: bytearray, chance: random.Random) -> None:
    at = chance.randint(0, len(made))
    made[at:at] = chance.choice(TOKENS)


def _random(made: bytearray, chance: random.Random) -> None:
    start, end = _range(made, chance)
    made[start:end] = chance.randbytes(end - start)


def _delete(made: bytearray, chance: random.Random) -> None:
    start, end = _range(made, chance)
    del made[start:end]


def _repeat(made: bytearray, chance: random.Random) -> None:
    start, end = _range(made, chance)
    made[end:end] = made[start:end] * chance.randint(1, 3)


def _truncate(made: bytearray, chance: random.Random) -> None:
    del made[chance.randint(0, len(made)) :]


def _zero(made: bytearray, chance: random.Random) -> None:
    start, end = _range(made, chance)
    made[start:end] = bytes(end - start)


def _range(made: bytearray, chance: random.Random) -> tuple[int, int]:
    """Anywhere, but often near the beginning, where headers are; short or long."""
    start = chance.randint(0, min(len(made), chance.choice((64, 512, 1 << 30))))
    return start, min(len(made), start + chance.choice((1, 4, 16, 256, 1 << 16)))


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip,
    _set,
    _insert,
    _random,
    _delete,
    _repeat,
    _truncate,
    _zero,
)


def altered(value: Any, chance: random.Random) -> Any:
    """A copy of plain values with one to three of them changed, moved, doubled or taken away."""
    made = [copy.deepcopy(value)]
    for _ in range(chance.randint(1, 3)):
        places = list(_places(made))
        holder, key = chance.choice(places)
        match chance.randrange(7):
            case 0:
                del holder[key]
                if not made:
                    made.append(None)
            case 1 if isinstance(holder, list):
                holder.insert(chance.randint(0, len(holder)), copy.deepcopy(holder[key]))
            case 1 | 2:
                other, at = chance.choice(places)
                holder[key] = copy.deepcopy(other[at])
            case 3 if type(holder[key]) in (int, float):
                holder[key] = chance.choice((holder[key] + 1, -holder[key], holder[key] * 1000))
            case 4 if isinstance(key, str):
                holder[f"{key}x"] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(chance.choice(NASTY))
    return made[0]


def with_other_numbers(value: Any, chance: random.Random) -> Any:
    """A copy of plain values with one to four numbers changed, most of them out of any measure."""
    made = copy.deepcopy(value)
    numbers = [(one, key) for one, key in _places(made) if type(one[key]) in (int, float)]
    for holder, key in chance.sample(numbers, chance.randint(1, 4)):
        extreme = WHOLE if isinstance(holder[key], int) else REAL
        holder[key] = chance.choice((holder[key] * 1000, -holder[key], *extreme))
    return made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as what holds it and its key."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            yield holder, key
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_lines(value: Any) -> bytes:
    return b"\n".join(map(as_json, value if isinstance(value, list) else [value]))


def as_toml(value: Any) -> bytes:
    """Tables of a recipe, each value on its line; not always TOML, as a person's file is not."""
    if not isinstance(value, dict):
        return _toml(value).encode("utf-8", "surrogatepass")
    lines = [f"{_key(name)} = {_toml(one)}" for name, one in value.items() if name != "layers"]
    layers = value.get("layers", [])
    lines += [f"layers = {_toml(layers)}"] if "layers" in value else []
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _toml(value: Any) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_key(n)} = {_toml(one)}" for n, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return repr(value)
        case None:
            return "none"
    return json.dumps(value)
