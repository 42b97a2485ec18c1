"""List scheduling of one round: it writes both tapes and keeps the time at which everything is
there.

Always the pass or step that can begin first is next; of several, one of the first turn, and of
turns side by side the one that is least far; of a lone stream's steps, which follow no fixed order,
the one that most others follow, or one of the first line.  What an item reads of this round's
results delays it.  What it reads of an earlier round's, and what it must have read before a later
round overwrites it, are lower bounds on the interval (`ernn.scheduling.hazards`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ernn.scheduling.array_lister import ArrayLister
from ernn.scheduling.hazards import Place
from ernn.scheduling.head import Early
from ernn.scheduling.issue_order import Turn
from ernn.scheduling.round import Round, Work
from ernn.scheduling.vector_lister import VectorLister


@dataclass
class ListScheduler:
    """Both tapes of a round.

    `expected`: when a round before will have written a place, for what reads it late;
    `vector_from`: the vector unit begins no earlier.  Both only place items well.
    """

    round: Round
    expected: Mapping[Place, int] = field(default_factory=dict)
    vector_from: int = 0
    early: Early | None = field(init=False, default=None)
    """The round without its head."""

    def __post_init__(self) -> None:
        self.array = ArrayLister(self.round, self.expected)
        self.vector = VectorLister(self.round, self.vector_from)

    def run(self) -> None:
        turns, head = list(self.round.order), self.round.layout.head
        works = [self._work(turn) for turn in turns if turn.stage < head]
        self._list([*works, *self._works_before(turns)])
        self.array.rows[-1]["end"] = 1
        self.vector.rows[-1]["end"] = 1
        if self.round.layout.design.once:
            self.early = Early(len(self.array.rows), len(self.vector.rows), self.bounds())
            self._list([self._work(turn) for turn in turns if turn.stage >= head])

    def _list(self, works: list[Work]) -> None:
        """Both tapes of some turns, behind what is already there."""
        while options := [*self.array.options(works), *self.vector.options(works)]:
            _, act = min(options, key=lambda option: option[0])
            act()
        assert not any(work.passes or work.steps_left for work in works), (
            "turns wait for each other"
        )

    def _work(self, turn: Turn) -> Work:
        layout = self.round.layout
        passes, steps = layout.passes[turn.stage], layout.stages[turn.stage].steps
        lines = layout.lines(steps[0].length) if steps else 0
        own = [one for one in passes if not one.before]
        order = self.round.order.order(turn)
        return Work(turn, order, sorted(own, key=lambda one: one.progress), lines)

    def _works_before(self, turns: Sequence[Turn]) -> Iterator[Work]:
        """What is made beforehand of the next frame: after everything else."""
        for turn in turns:
            if made := [one for one in self.round.layout.passes[turn.stage] if one.before]:
                yield Work(replace(turn, late=turn.late - 1), len(turns), made, 0)

    # --- from one round to the next

    def bounds(self) -> dict[str, int]:
        """Lower bounds on the cycles between two rounds, by cause."""
        hazards = self.round.hazards
        return (
            self.array.bounds()
            | self.vector.bounds()
            | {
                "recurrence": max(hazards.recurrence(), self.array.sums_kept.recurrence),
                "gates overwritten": hazards.gates_overwritten(),
                "spectra overwritten": hazards.spectra_overwritten(),
                "start": 4,
            }
        )

    def written_before(self, interval: int) -> dict[Place, int]:
        """When the round before has written a place: `expected` of a schedule after this one."""
        ready = self.round.hazards.spectrum_ready
        return {place: time - interval for place, time in ready.items()}

    def length(self, interval: int) -> int:
        """When the last result leaves, rounds `interval` cycles apart."""
        return max(late * interval + time for late, time in self.vector.outputs)
