"""A right shift by one of a few constants, chosen anew every cycle."""

from collections.abc import Sequence

from amaranth import Module, Mux, Signal, Value

from ernn.rtl.arith import delayed
from ernn.scheduling.shift_stages import stages


class Shifter:
    """Shifts numbers by shifts[by], in stages (`ernn.scheduling.shift_stages`): eight shifts are
    three choices between two, not seven.

    A register after `cycles` - none or one - stands before the last stage: an adder behind takes
    that one in (`ernn.flow.pack`).
    """

    def __init__(self, m: Module, by: Value, shifts: Sequence[int], cycles: int, name: str) -> None:
        self.least, self.cycles = min(shifts), cycles
        self.stages = [
            (stage.amount, _flag(m, by, stage.taken, f"{name}_by{stage.amount}"))
            for stage in stages(shifts)
        ]
        if self.stages:
            amount, flag = self.stages[-1]
            self.stages[-1] = amount, delayed(m, flag, cycles, f"{name}_by{amount}")

    def doubled(self, m: Module, value: Value, name: str) -> Value:
        """2 * value * 2**-shift, rounded down, `cycles` later; a negative shift is exact."""
        least = self.least
        word = value[min(least, len(value)) - 1 :].as_signed() if least > 0 else value << 1 - least
        for amount, flag in self.stages[:-1]:
            word = Mux(flag, word >> amount, word)
        word = delayed(m, word, self.cycles, f"{name}_twice")
        for amount, flag in self.stages[-1:]:
            word = Mux(flag, word >> amount, word)
        return word


def _flag(m: Module, by: Value, taken: Sequence[bool], name: str) -> Value:
    """Whether a stage shifts."""
    flag = Signal(name=name)
    with m.Switch(by):
        for number, one in enumerate(taken):
            with m.Case(number):
                m.d.comb += flag.eq(one)
    return flag
