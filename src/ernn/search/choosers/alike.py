"""The rival of choices matrix by matrix: one block size and one number of bits for all layers.

The output matrix has the same bits, in the same blocks or dense.  Each block size is tried with the
most bits that fit, where widths are a choice with layers of each share of their units.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from ernn.ir.structure import Dense, Structure
from ernn.search.candidates import Candidate, Pick, Units
from ernn.search.choosers.chooser import Setting, Tried


class Alike:
    """At most two trials for each structure and share."""

    epochs = 0

    def __init__(self, setting: Setting) -> None:
        self.space = setting.space

    def propose(self, history: Sequence[Tried]) -> Pick | None:
        tried = {one.pick for one in history}
        return next((pick for pick in self._picks() if pick not in tried), None)

    def _picks(self) -> Iterator[Pick]:
        inners = dict.fromkeys(
            option.inner for part in self.space.matrices for option in part.options
        )
        widths = list(zip(*(one.options for one in self.space.widths), strict=False)) or [()]
        for units, inner in product(widths, inners):
            for output in dict.fromkeys((Dense(), inner)):
                fitting = (
                    pick for pick in self._roundings(units, inner, output) if self.space.fits(pick)
                )
                yield from [pick for pick in [next(fitting, None)] if pick is not None]

    def _roundings(
        self, units: tuple[Units, ...], inner: Structure, output: Structure
    ) -> Iterator[Pick]:
        """The most bits first; only what every matrix can have."""
        wanted = [output if part.shape.role == "output" else inner for part in self.space.matrices]
        for bits in sorted(
            {option.bits for part in self.space.matrices for option in part.options}, reverse=True
        ):
            found = tuple(Candidate(one, bits) for one in wanted)
            if all(
                one in part.options for one, part in zip(found, self.space.matrices, strict=True)
            ):
                yield (*units, *found)
