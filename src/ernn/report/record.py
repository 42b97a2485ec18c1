"""What a run found, as numbers that say how each was obtained.

A record is a tree.  Its leaves are `Measurement`s, reached by dotted paths (`error_rate.dense`);
under `series.` lie the plain arrays that plots are drawn from, whose shapes `ernn.report.series`
states.  On disk it is one JSON file:

    {"clock_mhz": {"value": 96.1, "unit": "MHz", "kind": "placed", "tool": "nextpnr-ecp5 0.11.1"},
     ...,
     "series": {"area": {...}, ...}}

Keys are sorted, so that two records of equal content are equal files.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

from ernn.errors import UserError
from ernn.files import write_atomic
from ernn.ground.plain import decode
from ernn.ground.reading import parse_json, read_text

Kind = Literal["measured", "simulated", "placed", "estimated", "published"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Paths that readers of a record rely on, and the unit each is in.
UNITS = {
    "error_rate.dense": "%",
    "error_rate.compressed": "%",
    "error_rate.integer": "%",
    "share_in_hardware": "%",
    "compression.weights": "weights",
    "compression.ratio": "×",
    "verify.frames": "frames",
    "verify.mismatches": "integers",
    "cycles.predicted": "cycles",
    "cycles.simulated": "cycles",
    "utilisation": "%",
    "clock_mhz": "MHz",
    "fps": "frames/s",
    "latency_us": "µs",
    "power.total": "W",
}


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


@dataclass(frozen=True)
class Measurement:
    """One figure and where it comes from.

    `kind`: measured (ran, counted), simulated (RTL), placed (after place and route), estimated (a
    model's word for it), published (someone else's).  `tool`: the program, its version or the
    command that gave it. `tokens`: test tokens behind an error rate.  `interval`: 95 % confidence,
    (low, high).  `seeds`: how many runs the value stands for; `spread`: the smallest and the
    largest of them.  Interval and spread are in `unit`.
    """

    value: float
    unit: str
    kind: Kind
    tool: str
    tokens: int | None = None
    interval: tuple[float, float] | None = None
    seeds: int | None = None
    spread: tuple[float, float] | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.value, Real) and not isinstance(self.value, bool)
        _require(
            number and math.isfinite(self.value),
            f"a measurement is a finite number, not {self.value!r}",
        )
        _require(self.kind in KINDS, f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        _require(bool(self.tool), "a measurement names the tool that gave it: `tool` is empty")
        for name, count in (("tokens", self.tokens), ("seeds", self.seeds)):
            _require(count is None or count > 0, f"{name} must be positive, not {count}")
        for name, pair in (("interval", self.interval), ("spread", self.spread)):
            _require(pair is None or pair[0] <= pair[1], f"{name} must be (low, high), not {pair}")


def _plain(number: Any) -> Any:
    """NumPy's numbers and arrays as Python's, for JSON."""
    if hasattr(number, "tolist"):
        return number.tolist()
    raise UserError(f"the record holds numbers, text and arrays, not {number!r}")


def _leaf(measurement: Measurement) -> dict[str, Any]:
    return {name: value for name, value in asdict(measurement).items() if value is not None}


def _leaves(prefix: str, tree: dict[str, Any]) -> Iterator[tuple[str, Measurement]]:
    for name, node in tree.items():
        path = f"{prefix}{name}"
        _require(
            isinstance(node, dict),
            f"{path} in the record must be a measurement or a group, not {node!r}",
        )
        if "value" in node:
            yield path, decode(f"the record's {path}", Measurement, node)
        else:
            yield from _leaves(f"{path}.", node)


class RunRecord:
    """Measurements by dotted path, and the plain arrays behind the plots by name.

    No path is a group and a measurement: `error_rate` is a group once `error_rate.dense` is set.
    """

    def __init__(self) -> None:
        self._measurements: dict[str, Measurement] = {}
        self._series: dict[str, Any] = {}

    def set(self, path: str, measurement: Measurement) -> None:
        """Set or replace a figure. UserError for a malformed path, a wrong unit, a group's path."""
        parts = path.split(".")
        words = all(part.isidentifier() for part in parts)
        allowed = words and parts[0] != "series" and "value" not in parts
        _require(allowed, f"{path!r} cannot hold a measurement")
        expected = UNITS.get(path, measurement.unit)
        _require(
            measurement.unit == expected,
            f"{path} is recorded in {expected!r}, not {measurement.unit!r}",
        )
        for other in self._measurements:
            nested = other.startswith(f"{path}.") or path.startswith(f"{other}.")
            _require(not nested, f"{path} and {other} cannot both hold a measurement")
        self._measurements[path] = measurement

    def find(self, path: str) -> Measurement | None:
        """The figure at `path`, or None where this run did not obtain it."""
        return self._measurements.get(path)

    def get(self, path: str) -> Measurement:
        """The figure at `path`; UserError where there is none."""
        measurement = self.find(path)
        if measurement is None:
            raise UserError(
                f"the record holds no {path!r}; it holds "
                f"{', '.join(sorted(self._measurements)) or 'nothing'}"
            )
        return measurement

    def group(self, path: str) -> dict[str, Measurement]:
        """Figures below `path`, by the rest of their path, sorted."""
        prefix = f"{path}."
        return {
            name.removeprefix(prefix): m
            for name, m in self.measurements()
            if name.startswith(prefix)
        }

    def measurements(self) -> list[tuple[str, Measurement]]:
        """Every figure with its path, sorted by path."""
        return sorted(self._measurements.items())

    def missing(self) -> list[str]:
        """Paths of `UNITS` that hold nothing yet: what a complete run must still obtain."""
        return [path for path in UNITS if path not in self._measurements]

    def set_series(self, name: str, data: Any) -> None:
        """Keep plain data (JSON's) as `series.<name>`; for typed
        values use `ernn.report.series.put`.
        """
        _require(name.isidentifier(), f"a series needs a simple name, not {name!r}")
        try:
            text = json.dumps(data, allow_nan=False, default=_plain)
        except ValueError as error:
            raise UserError(f"series.{name} cannot be kept: {error}") from None
        self._series[name] = json.loads(text)

    def series(self, name: str) -> Any | None:
        """The plain data of `series.<name>`, or None."""
        return self._series.get(name)

    def to_json(self) -> str:
        """JSON text: figures indented, each series on one line."""
        tree: dict[str, Any] = {}
        for path, measurement in self.measurements():
            *groups, name = path.split(".")
            node = tree
            for group in groups:
                node = node.setdefault(group, {})
            node[name] = _leaf(measurement)
        lines = [
            f"    {json.dumps(name)}: {json.dumps(data, ensure_ascii=False, sort_keys=True)}"
            for name, data in sorted(self._series.items())
        ]
        figures = json.dumps(tree, indent=2, ensure_ascii=False, default=_plain)[1:-1].rstrip()
        series = '  "series": {\n' + ",\n".join(lines) + "\n  }"
        return "{" + figures + ("," if figures else "") + "\n" + series + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Read what `to_json` wrote; UserError where it is not a record."""
        tree = parse_json(text, "the record")
        _require(isinstance(tree, dict), "a record is a JSON object")
        record, series = cls(), tree.pop("series", {})
        _require(isinstance(series, dict), "a record's series are a JSON object")
        for name, data in series.items():
            record.set_series(name, data)
        for path, measurement in _leaves("", tree):
            record.set(path, measurement)
        return record

    def save(self, path: Path | str) -> Path:
        """Write the record whole or not at all."""
        return write_atomic(path, self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> "RunRecord":
        """Read a record; UserError where the file is missing or is not one."""
        if not Path(path).exists():
            raise UserError(
                f"no record at {path}: run `ernn demo`, or name the record.json of a run"
            )
        try:
            return cls.from_json(read_text(path))
        except UserError as error:
            raise UserError(
                f"{path}: {error}; remove it, and do the steps again whose figures are wanted"
            ) from None
