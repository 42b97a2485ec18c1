"""What a choice matrix by matrix is up against: one block size and one number of bits for all recurrent layers.

The output matrix has the same bits, in the same blocks or dense.  Each block size is tried with the most bits that fit.
"""

from collections.abc import Iterator, Sequence

from ernn.search.candidates import Candidate, Pick
from ernn.search.choosers.chooser import Setting, Tried
from ernn.structure import Dense, Structure


class Alike:
    """At most two trials for each structure."""

    epochs = 0

    def __init__(self, setting: Setting) -> None:
        self.space = setting.space

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        tried = {one.pick for one in history}
        return next((pick for pick in self._picks() if pick not in tried), None)

    def _picks(self) -> Iterator[Pick]:
        inners = dict.fromkeys(option.inner for part in self.space.parts for option in part.options)
        for inner in inners:
            for output in dict.fromkeys((Dense(), inner)):
                fitting = (pick for pick in self._widths(inner, output) if self.space.fits(pick))
                yield from [pick for pick in [next(fitting, None)] if pick is not None]

    def _widths(self, inner: Structure, output: Structure) -> Iterator[Pick]:
        """The most bits first; only what every part can have."""
        wanted = [output if part.shapes[0].role == "output" else inner for part in self.space.parts]
        for bits in sorted({option.bits for part in self.space.parts for option in part.options}, reverse=True):
            pick = tuple(Candidate(one, bits) for one in wanted)
            if all(one in part.options for one, part in zip(pick, self.space.parts, strict=True)):
                yield pick
