"""The two ways of a step's result: through the tables, or past them.

A result that passes them by is there `Pipeline.values` cycles after issue, any other
`Pipeline.vector`; the schedule sees to it that never two are there at a time.
"""

from dataclasses import dataclass

from amaranth import Module, Mux, Value

from ernn.rtl.arith import delayed, delayed_flag
from ernn.scheduling.timing import Pipeline


@dataclass(frozen=True, eq=False)
class Ways:
    """What comes with results, from what is known at issue; `tabled`: which way a row's takes."""

    m: Module
    pipeline: Pipeline
    tabled: Value

    def flag(self, when: Value, name: str, sooner: int = 0, direct: bool = True) -> Value:
        """What starts or writes something, so many cycles before the result; of results that come
        through the tables alone, unless `direct`."""
        cycles = self.pipeline.vector - sooner
        late = delayed_flag(self.m, when & self.tabled, cycles, name)
        if not direct:
            return late
        cycles -= self.pipeline.activation
        return late | delayed_flag(self.m, when & ~self.tabled, cycles, f"{name}_direct")

    def value(self, value: Value, name: str, tabled: Value) -> Value:
        """Any other; `tabled`: whether the result of the cycle has come through the tables."""
        soon = delayed(self.m, value, self.pipeline.values, f"{name}_direct")
        return Mux(tabled, delayed(self.m, soon, self.pipeline.activation, name), soon)
