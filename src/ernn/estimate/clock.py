"""The clock that a search assumes, and its source. Only place and route tells the real one.

ECP5's is a line through placed engines (`clock_points.json`, `benchmarks/clocks.py`), one of each
pipeline,

    ln MHz = a - b * sqrt(multipliers)

in grade 6 and without forwarding: an array's side grows with the root of its multipliers, and with
it the ways that signals go in a cycle.

Lines are off by some 4 % on average, and pipelines promise the same to 2 % where an array has 28
multipliers (deep 164 MHz, direct 167), as seeds of one engine differ by 5 %.  There a choice by
promises is a throw: direct was taken for the demo's engine, by 170 to 164 MHz, and placed at 161.5
where deep had 170.7.  So of two pipelines whose promised times differ by less than the error the
one with fewer registers across the die, "deep", is taken: other clocks count for a (1 + error)th
of themselves where designs are compared (`Clock.counted`).  By today's lines that is up to 31
multipliers: ln(direct / deep) = 0.019 at 28 and 0.041 at 32; at 72 it is 0.21, at 154 0.44.  A
frame's cycles are counted, so that direct pipelines have to save 4 % of cycles or clock.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp, log, sqrt
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from ernn.errors import UserError
from ernn.estimate.device import Device
from ernn.scheduling.design import Design, PipelineName
from ernn.scheduling.timing import PIPELINES

MHz = float
POINTS = Path(__file__).with_name("clock_points.json")

FORWARDING = 220.9 / 233.8
"""A clock with `Design.forwarding` over the same engine's without, on ECP5: an LSTM of 20 on 28
multipliers of an LFE5U-25F, grade 8, one seed each (docs/results/clocks.md)."""
GRADES: Mapping[int, float] = {6: 1.0, 7: 1.15, 8: 1.31}
"""A clock over the one in grade 6: grade 8 by an engine placed in both (docs/results/clocks.md);
grade 7, of which nothing was placed, the root of it."""


@dataclass(frozen=True)
class Line:
    """MHz with hardly a multiplier, and how much of it, in e-folds, a unit of their root costs."""

    start: MHz
    slope: float = 0.0

    def mhz(self, multipliers: int) -> MHz:
        return self.start * exp(-self.slope * sqrt(multipliers))


@dataclass(frozen=True)
class Clock:
    """MHz by pipeline and number of multipliers; `forwarding`: times so much with it; `error`: how
    far off it is on average, relative."""

    lines: Mapping[PipelineName, Line]
    source: str
    forwarding: float = 1.0
    error: float = 0.0

    def __post_init__(self) -> None:
        for line in self.lines.values():
            if not 1 <= line.start <= 1000:
                raise UserError(f"a clock is 1 to 1000 MHz, not {line.start:g}")

    def mhz(self, design: Design, multipliers: int) -> MHz:
        """Of an engine with so many multipliers."""
        alone = self.lines[design.pipeline].mhz(multipliers)
        return alone * self.forwarding if design.forwarding else alone

    def counted(self, design: Design, multipliers: int) -> MHz:
        """What counts where designs are compared: no pipeline is taken instead of "deep" for less
        than the error."""
        promised = self.mhz(design, multipliers)
        return promised if design.pipeline == "deep" else promised / (1 + self.error)

    @classmethod
    def given(cls, mhz: MHz, source: str = "as given") -> "Clock":
        """The same for every engine."""
        return cls({name: Line(mhz) for name in PIPELINES}, source)

    @classmethod
    def assumed(cls, device: Device) -> "Clock":
        """What is assumed if nothing is given; ECP5's: docs/results/clocks.md."""
        if device.family != "ecp5":
            return cls.given(200.0, "the published designs' clock")
        return fit(placed(), device.grades[0])


@dataclass(frozen=True)
class Point:
    """An engine placed: `seeds`: MHz of each; `source`: where it is told or made again."""

    engine: str
    device: str
    grade: int
    multipliers: int
    pipeline: PipelineName
    forwarding: bool
    seeds: Mapping[str, MHz]
    source: str

    @property
    def mhz(self) -> MHz:
        return median(self.seeds.values())

    @property
    def plain(self) -> MHz:
        """The clock as it would be in grade 6 without forwarding."""
        return self.mhz / GRADES[self.grade] / (FORWARDING if self.forwarding else 1)

    def by(self, clock: Clock) -> MHz:
        """What a clock says for this engine."""
        design = Design(1, pipeline=self.pipeline, forwarding=self.forwarding)
        return clock.mhz(design, self.multipliers)

    def off(self, clock: Clock, grade: int) -> float:
        """How far above this engine's a clock of a grade is, in this engine's grade, relative."""
        return self.by(clock) / GRADES[grade] * GRADES[self.grade] / self.mhz - 1


@cache
def placed() -> tuple[Point, ...]:
    """The engines that ship."""
    content: list[dict[str, Any]] = json.loads(POINTS.read_text(encoding="utf-8"))
    return tuple(Point(**one) for one in content)


def fit(points: Sequence[Point], grade: int) -> Clock:
    """Lines of least squares for a grade; level where points have one number of multipliers."""
    lines: dict[PipelineName, Line] = {}
    for name in PIPELINES:
        own = [one for one in points if one.pipeline == name]
        if own:
            lines[name] = _line(own, GRADES[grade])
    promised = Clock(lines, f"fitted to engines placed on ECP5, grade {grade}", FORWARDING)
    return replace(promised, error=mean(abs(one.off(promised, grade)) for one in points))


def _line(points: Sequence[Point], grade: float) -> Line:
    roots, logs = [sqrt(one.multipliers) for one in points], [log(one.plain) for one in points]
    level = len(set(roots)) == 1
    *slopes, start = np.polyfit(roots, logs, 0 if level else 1).tolist()
    return Line(exp(start) * grade, -sum(slopes))
