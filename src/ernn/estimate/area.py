"""Predicted area: multipliers and memories by Yosys's rules, LUTs and flip-flops by a fit.

`points.json` holds engines that Yosys synthesised (`benchmarks/cost_points.py` makes it): each with
the bits of its units (`ernn.estimate.units`) and what it took.  A family's LUTs and flip-flops are
sums over units of bits times what a bit takes there: not negative, the same for all where the
points do not tell, and such that relative errors are small.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ernn.estimate.device import Device, Family
from ernn.estimate.logic import Logic
from ernn.estimate.memories import mapped
from ernn.estimate.nonnegative_fit import nonnegative
from ernn.estimate.tapes import least_tapes
from ernn.estimate.units import Units, dsp
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.shift_tables import ShiftTables
from ernn.scheduling.tape import Tape
from ernn.scheduling.timing import Timing

Array = np.ndarray
Fitted = Literal["lut", "ff"]
FITTED: tuple[Fitted, ...] = get_args(Fitted)
RESOURCES = ("lut", "ff", "dsp", "block_ram")
# How strongly the same for every bit is preferred.  Registers are counted as the RTL has them; how
# much of an adder or a selector shares a look-up table with its neighbours depends on the unit.
RIDGE: dict[Fitted, float] = {"lut": 0.1, "ff": 3.0}
OTHERS = ""  # in place of a unit's name: of the units that no point has
POINTS = Path(__file__).with_name("points.json")

# UltraScale has the look-up tables of 7-series and wider multipliers, but Yosys packs no register
# into those: what a vendor's tool is expected to reach is what Yosys reaches on 7-series.
PROXIES: dict[Family, Family] = {"xcu": "xc7", "xcup": "xc7"}


@dataclass(frozen=True)
class Use:
    """What an engine takes: LUTs (also those used as memory), flip-flops, multipliers, kbit."""

    lut: int
    ff: int
    dsp: int
    block_ram: int

    def shares(self, device: Device) -> dict[str, float]:
        """Used over available, by resource."""
        return {name: getattr(self, name) / getattr(device, name).value for name in RESOURCES}


@dataclass(frozen=True)
class Point:
    """One measured engine; `network` and `design` say which.  `lutram`: LUTs that are memories."""

    family: Family
    network: Mapping[str, Any]
    design: Mapping[str, Any]
    adders: Mapping[str, float]
    registers: Mapping[str, float]
    lutram: int
    lut: int
    ff: int
    dsp: int
    block_ram: int

    def features(self, what: Fitted) -> Mapping[str, float]:
        """Bits of what LUTs, or flip-flops, are for."""
        return self.adders if what == "lut" else self.registers

    def logic(self, what: Fitted) -> int:
        """What the fit explains: flip-flops, or LUTs but those used
        as memory, whose number is known.
        """
        return self.lut - self.lutram if what == "lut" else self.ff


@dataclass(frozen=True)
class Points:
    """The measured engines, the tool that measured them, and the digest of their circuits."""

    tool: str
    rtl: str
    points: tuple[Point, ...]

    @classmethod
    def load(cls, path: Path = POINTS) -> "Points":
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            content["tool"], content["rtl"], tuple(Point(**point) for point in content["points"])
        )

    def of(self, family: Family) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.family == family)


@cache
def shipped() -> Points:
    return Points.load()


def fit(points: Sequence[Point], what: Fitted) -> dict[str, float]:
    """LUTs or flip-flops of a bit of each unit; of a unit that no point has, the overall ratio."""
    names = sorted({name for point in points for name in point.features(what)})
    wanted = np.array([point.logic(what) for point in points], float)
    shares = (
        np.array([[point.features(what)[name] for name in names] for point in points], float)
        / wanted[:, None]
    )
    whole = shares.sum(1)
    each = float(whole.sum() / (whole @ whole))
    pull = np.diag(np.sqrt(RIDGE[what] * len(points)) * shares.mean(0))
    found = nonnegative(
        np.vstack([shares, pull]), np.concatenate([np.ones(len(points)), each * pull.sum(1)])
    )
    return {OTHERS: each} | dict(zip(names, found.tolist(), strict=True))


@cache
def _fitted(family: Family, what: Fitted) -> Mapping[str, float]:
    points = shipped().of(family)
    return fit(points, what) if points else {}


def explained(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The sum over units of bits times what a bit takes."""
    each = coefficients.get(OTHERS, 1.0)
    return sum(coefficients.get(name, each) * count for name, count in features.items())


def predict(plan: Schedule, family: Family) -> Use:
    """What an engine takes: `dsp` and `block_ram` as Yosys maps them, `lut` and `ff` estimated."""
    units, like = Units(plan), PROXIES.get(family, family)
    memories, logic = list(units.mapped(family)), Logic(units, like)
    lut = explained(_fitted(like, "lut"), logic.adders())
    ff = explained(_fitted(like, "ff"), logic.registers())
    return Use(
        lut=round(lut) + sum(memory.count * used.lutram for memory, used in memories),
        ff=round(ff),
        dsp=dsp(plan.layout, family),
        block_ram=sum(memory.count * used.kbit for memory, used in memories),
    )


def least(layout: MemoryMap, family: Family) -> Use:
    """What an engine of this layout takes at least: the shortest tapes and output queue."""
    empty = Tape(({"count": 0},))
    timing, shifts = Timing.of(layout.model, layout.design), ShiftTables.of(layout)
    found = predict(
        Schedule(layout, timing, shifts, empty, empty, 0, 1, 1, 1, 0, {}, (), {}), family
    )
    tapes = (mapped(one, family).kbit for one in least_tapes(layout, shifts) if one.width)
    return replace(found, block_ram=found.block_ram + sum(tapes))


def left_out(points: Sequence[Point], what: Fitted) -> list[float]:
    """Relative error of each point's whole count, predicted without its configuration's points."""
    errors = []
    for point in points:
        others = [
            one for one in points if (one.network, one.design) != (point.network, point.design)
        ]
        extra = point.lutram if what == "lut" else 0
        predicted = explained(fit(others, what), point.features(what)) + extra
        errors.append(predicted / getattr(point, what) - 1)
    return errors
