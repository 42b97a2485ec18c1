"""A network whose weights stand for all options at once: what the relaxation and the super-net train."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.compress.method import Parts
from ernn.compress.plan import CompressionPlan, matrices
from ernn.nn.model import AcousticModel
from ernn.search.candidates import Candidate, Part, Space

Mix = Callable[[Part], dict[Candidate, Tensor | float]]


class Options(nn.Module):
    """A weight (gates * rows, columns), decoded as the sum of its projections, each times its share; those without one
    are left out.  Gradients pass to the weight, rounding straight through, and to the shares."""

    def __init__(self, gates: int, shares: Callable[[], dict[Candidate, Tensor | float]]) -> None:
        super().__init__()
        self.gates, self.shares = gates, shares

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.unflatten(0, (self.gates, -1))
        return sum(self._projections(matrix), start=0 * matrix).flatten(0, 1)

    def _projections(self, matrix: Tensor) -> Iterator[Tensor]:
        """One of each structure: roundings to several widths are added up before they are decoded."""
        shares = self.shares()
        for inner in dict.fromkeys(candidate.inner for candidate in shares):
            alike = {candidate.structure: share for candidate, share in shares.items() if candidate.inner == inner}
            first = next(iter(alike))
            numbers: Parts = first.start(matrix)
            mixed = (sum(share * one.grid.through(t) for one, share in alike.items()) for t in numbers.tensors)
            yield first.decode(replace(numbers, tensors=tuple(mixed)), *matrix.shape[-2:])


def share_weights(model: AcousticModel, space: Space, mix: Mix) -> None:
    """Every matrix of `model` is from now on what `mix` says of its part, whenever it is read."""
    named = {matrix.name: matrix for matrix in matrices(model, CompressionPlan())}
    for part in space.parts:
        for one in part.shapes:
            found = named[one.name]
            options = Options(found.gates, lambda part=part: mix(part))
            parametrize.register_parametrization(found.owner, found.attribute, options)
