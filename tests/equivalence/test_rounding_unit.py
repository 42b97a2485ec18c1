"""Roundings by themselves: by shifts of every kind, of numbers up to the ends of their width."""

from typing import Any

from amaranth import Module, Signal, signed
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.rtl.rounding import rounded
from ernn.rtl.shifter import Shifter
from ernn.scheduling.lines import address_bits
from ernn.scheduling.shift_stages import stages

SHIFTS = st.lists(st.integers(-3, 20), min_size=1, max_size=9, unique=True).map(sorted)


@given(SHIFTS)
def test_stages_give_every_shift_in_few_choices(shifts: list[int]) -> None:
    found = stages(shifts)
    for number, shift in enumerate(shifts):
        assert shift == shifts[0] + sum(one.amount for one in found if one.taken[number])
    bits = (shifts[-1] - shifts[0]).bit_length()
    assert len(found) <= min(len(shifts) - 1, bits)


def test_eight_shifts_are_three_choices() -> None:
    """Those of rows with up to 7 fraction bits more; and two far apart are one."""
    assert [one.amount for one in stages(range(6, 14))] == [4, 2, 1]
    assert [one.amount for one in stages([6, 13])] == [7]
    assert not stages([6])


@settings(max_examples=15, deadline=None)
@given(
    shifts=SHIFTS,
    cycles=st.integers(0, 1),
    drawn=st.lists(st.tuples(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(0, 8))),
)
def test_numbers_are_rounded_half_up(
    shifts: list[int], cycles: int, drawn: list[tuple[int, int]]
) -> None:
    ends = [(value, number) for value in (-(1 << 15), (1 << 15) - 1) for number in range(9)]
    given = [(value, number % len(shifts)) for value, number in (*ends, *drawn)]
    m, value, by = Module(), Signal(signed(16)), Signal(address_bits(len(shifts)))
    result = rounded(m, value, Shifter(m, by, shifts, cycles, "x"), "x")
    simulator, found = Simulator(m), list[int]()

    async def bench(context: Any) -> None:
        for number, which in [*given, *[(0, 0)] * cycles]:
            context.set(value, number)
            context.set(by, which)
            await context.tick()
            found.append(context.get(result))

    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [(2 * x * 2 ** max(0, -shifts[n]) >> max(0, shifts[n])) + 1 >> 1 for x, n in given]
    assert found[cycles:] == expected
