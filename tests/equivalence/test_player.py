"""A tape's player: the rows it shows, and where a tape ends early."""

from typing import Any

import pytest
from amaranth.sim import Simulator

from ernn.rtl.player import Player
from ernn.scheduling.tape import Tape


def played(player: Any, wholes: list[bool], cycles: int) -> list[list[int]]:
    """The rows shown after each start. What tells whether a tape is whole is set by the start, as
    `ernn.rtl.rounds` does."""
    shown: list[list[int]] = [[] for _ in wholes]

    async def drive(context: Any) -> None:
        for number, whole in enumerate(wholes):
            context.set(player.start, 1)
            for _ in range(cycles):
                await context.tick()
                context.set(player.start, 0)
                context.set(player.whole, whole)
                if context.get(player.active):
                    shown[number].append(context.get(player.row["place"]))

    simulator = Simulator(player)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return shown


@pytest.mark.parametrize("early", [1, 2, 4])
@pytest.mark.parametrize("gap", [0, 3])
def test_a_tape_is_played_to_its_early_end_or_whole(early: int, gap: int) -> None:
    """Also where it ends in the cycle in which it begins."""
    rows = [{"gap": gap, "count": 1, "place": place + 1} for place in range(6)]
    places = [row["place"] for row in rows]
    tape = Tape(tuple(rows), early)
    wholes = [False, True, False, False, True, True, False]
    found = played(Player(tape, "some"), wholes, cycles=40)
    assert found == [places if whole else places[:early] for whole in wholes]
