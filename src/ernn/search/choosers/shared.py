"""A network whose weights stand for all options at once: for the relaxation and the super-net."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ernn.compress.plan import CompressionPlan, matrices
from ernn.compress.sets import decode, parts
from ernn.nn.model import AcousticModel
from ernn.search.candidates import Candidate, Part, Space
from ernn.search.cost import Shape

Mix = Callable[[Part], dict[Candidate, Tensor | float]]
Size = Callable[[Shape], tuple[int, int, int]]


class Options(nn.Module):
    """A weight (gates * rows, columns), decoded as the sum of its projections, each times
    its share; those without one are left out.  Gradients pass to the weight, rounding
    straight through, and to the shares.

    Of a narrower network the weight is the first rows and columns, as many as `size` says, and is
    decoded from them alone; what it lacks is read as 0, as units that were cut are.
    """

    def __init__(
        self,
        gates: int,
        shares: Callable[[], dict[Candidate, Tensor | float]],
        size: Callable[[], tuple[int, int, int]],
    ) -> None:
        super().__init__()
        self.gates, self.shares, self.size = gates, shares, size

    def forward(self, weight: Tensor) -> Tensor:
        whole = weight.unflatten(0, (self.gates, -1))
        _, rows, columns = self.size()
        matrix = whole[:, :rows, :columns]
        mixed = sum(self._projections(matrix), start=0 * matrix)
        return functional.pad(
            mixed, (0, whole.shape[2] - columns, 0, whole.shape[1] - rows)
        ).flatten(0, 1)

    def _projections(self, matrix: Tensor) -> Iterator[Tensor]:
        """One of each structure: roundings to several widths are added before decoding."""
        shares = self.shares()
        for inner in dict.fromkeys(candidate.inner for candidate in shares):
            alike = {one: share for one, share in shares.items() if one.inner == inner}
            structure = next(iter(alike)).structure
            numbers = parts(matrix, structure)
            mixed = (
                sum(share * one.grid.through(t) for one, share in alike.items())
                for t in numbers.tensors
            )
            stored = replace(numbers, tensors=tuple(mixed))
            yield decode(stored, structure, *matrix.shape[-2:])


def share_weights(
    model: AcousticModel, space: Space, mix: Mix, size: Size = lambda one: one.shape
) -> None:
    """From now on every matrix of `model` is read as the mixture that `mix` gives for its part.

    `model` is as wide as the space allows; `size` is that of a network as wide or narrower.
    """
    named = {matrix.name: matrix for matrix in matrices(model, CompressionPlan())}
    for part in space.matrices:
        found = named[part.name]
        options = Options(
            found.gates, lambda part=part: mix(part), lambda part=part: size(part.shape)
        )
        parametrize.register_parametrization(found.owner, found.attribute, options)
