"""Roundings by one of a few constant shifts, and what is saturated then."""

from collections.abc import Sequence

from amaranth import Const, Module, Value

from ernn.rtl.arith import chosen, delayed, register, saturated
from ernn.rtl.shifter import Shifter
from ernn.scheduling.timing import Pipeline


def rounded(m: Module, value: Value, shifter: Shifter, name: str) -> Value:
    """value * 2**-shift, rounded half up; a negative shift is exact. Shift but for a bit; in one
    cycle, round.
    """
    return register(m, (shifter.doubled(m, value, name) + 1)[1:].as_signed(), f"{name}_rounded")


def rounded_twice(
    m: Module,
    value: Value,
    shifter: Shifter,
    then: Value,
    dropped: Sequence[int],
    name: str,
    shift_cycles: int,
) -> Value:
    """`rounded`, and once more by dropped[then] bits, in one addition of both halves: a number
    rounded down twice is one rounded down once.
    """
    most = max(dropped)
    twice = shifter.doubled(m, value, name)
    aligned = chosen(m, then, dropped, lambda bits: twice << (most - bits), f"{name}_aligned")

    def halves(bits: int) -> Value:
        return Const((1 << most - bits) + (bits > 0) * (1 << most), most + 2)

    both = delayed(
        m, chosen(m, then, dropped, halves, f"{name}_both"), shift_cycles, f"{name}_half"
    )
    exact = delayed(m, aligned, shift_cycles, f"{name}_twice") + both
    return register(m, exact[most + 1 :].as_signed(), f"{name}_rounded")


def rounded_lanes(
    m: Module,
    lanes: Sequence[Value],
    by: Value,
    choices: Sequence[int],
    which: Value,
    widths: Sequence[int],
    width: int,
    name: str,
    pipeline: Pipeline,
) -> list[Value]:
    """Round by one of the constant shifts, then saturate to widths[which]: `Pipeline.rounding`
    cycles. Lanes of `width` bits.
    """
    which = delayed(m, which, pipeline.shift + 1, f"{name}_width")
    shifter = Shifter(m, by, choices, pipeline.shift, name)
    exact = [rounded(m, lane, shifter, f"{name}_round{i}") for i, lane in enumerate(lanes)]
    return [
        saturated(m, lane, widths, which, f"{name}_lane{i}", pipeline.fit, width=width)
        for i, lane in enumerate(exact)
    ]
