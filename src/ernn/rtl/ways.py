"""The two ways of a step's result: through the tables, or past them.

A result that passes them by is there `Pipeline.values` cycles after issue, any other
`Pipeline.vector`; the schedule sees to it that never two are there at a time.
"""

from collections.abc import Iterable

from amaranth import Cat, Module, Mux, Value

from ernn.rtl.arith import delayed, delayed_flag, register
from ernn.scheduling.timing import Pipeline


class Ways:
    """What comes with results, from what is known at issue.

    `last`: high where a result is issued; `tabled`: where it takes the way through the tables.
    Both come out of registers; `through` is
    high with a result that has come through them, `through_soon` a cycle before.
    """

    def __init__(self, m: Module, pipeline: Pipeline, last: Value, tabled: Value) -> None:
        self.m, self.tabled = m, tabled
        self.short, self.longer = pipeline.values - 1, pipeline.activation
        self.through_soon = delayed_flag(m, last & tabled, self.short + self.longer, "through_soon")
        self.through = delayed_flag(m, self.through_soon, 1, "through")

    def flag(self, when: Value, name: str, sooner: int = 0) -> Value:
        """What starts or writes something, so many cycles before the result."""
        cycles = self.short - sooner
        direct = delayed_flag(self.m, when & ~self.tabled, cycles, f"{name}_direct")
        late = delayed_flag(self.m, when & self.tabled, cycles + self.longer, f"{name}_tabled")
        return delayed_flag(self.m, direct | late, 1, name)

    def value(self, value: Value, name: str) -> Value:
        """Any other."""
        direct = delayed(self.m, value, self.short, f"{name}_direct")
        late = delayed(self.m, direct, self.longer, f"{name}_tabled")
        return register(self.m, Mux(self.through_soon, late, direct), name)


def beat_of(through: Value, direct: Iterable[Value], late: Iterable[Value]) -> Value:
    """Every lane's result, of which `late` ones have come through the tables."""
    return Cat(Mux(through, *pair) for pair in zip(late, direct, strict=True))
