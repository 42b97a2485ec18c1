"""Plain values become typed ones, or the path of the wrong one is named."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from ernn.errors import UserError
from ernn.ground.plain import decode


@dataclass(frozen=True)
class Part:
    size: int
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise UserError(f"size must be at least 0, not {self.size}")


@dataclass(frozen=True)
class Whole:
    name: str
    parts: tuple[Part, ...]
    pair: tuple[int, float]
    options: dict[str, Any]
    share: float = 0.5
    on: bool = False
    last: Part | None = None
    count: int | None = None


PLAIN = {
    "name": "one",
    "parts": [{"size": 1}, {"size": 2, "kind": "b"}],
    "pair": [1, 2],
    "options": {"x": [1]},
    "last": {"size": 3},
    "count": None,
}


def test_a_value_is_made_by_its_classes() -> None:
    found = decode("file", Whole, PLAIN)
    assert found.parts == (Part(1), Part(2, "b")) and found.last == Part(3)
    assert found.pair == (1, 2) and found.options == {"x": [1]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 5}, r"file\.name has the wrong type: 5"),
        ({"parts": [{"size": True}]}, r"file\.parts\[0\]\.size has the wrong type: True"),
        ({"parts": [{"size": 1.0}]}, r"file\.parts\[0\]\.size has the wrong type"),
        ({"parts": [{"size": -1}]}, r"file\.parts\[0\]: size must be at least 0, not -1"),
        (
            {"parts": [{"size": 1, "kind": "c"}]},
            r"file\.parts\[0\]\.kind must be one of 'a', 'b', not 'c'",
        ),
        ({"parts": [{}]}, r"file\.parts\[0\] is incomplete"),
        ({"parts": {}}, r"file\.parts must be an array"),
        ({"pair": [1]}, r"file\.pair must have 2 values, not 1"),
        ({"options": []}, r"file\.options must be an object"),
        ({"on": 1}, r"file\.on has the wrong type"),
        ({"share": "x"}, r"file\.share has the wrong type"),
        ({"last": 3}, r"file\.last must be an object, not 3"),
        ({"count": "3"}, r"file\.count has the wrong type"),
        ({"other": 3}, "file has no field 'other'"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}"):
        decode("file", Whole, PLAIN | change)


def test_only_an_object_is_one() -> None:
    with pytest.raises(UserError, match="file must be an object, not None"):
        decode("file", Whole, None)
