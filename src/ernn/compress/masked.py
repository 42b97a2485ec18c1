"""Training inside a sparse set: kept weights are the parameters, their positions are fixed."""

from torch import Size, Tensor

from ernn.compress import sparse
from ernn.compress.shaped import Shaped
from ernn.ir.structure import Sparse


class Spread(Shaped):
    """Kept weights to the parameter."""

    positions: Tensor

    def __init__(self, structure: Sparse, weight: Tensor, shape: Size) -> None:
        """`weight` (gates, rows, columns): its largest are kept from now on."""
        super().__init__(weight.shape, shape)
        self.structure = structure
        self.register_buffer("positions", sparse.encode(weight, structure).positions)

    def forward(self, values: Tensor) -> Tensor:
        kept = sparse.Kept(values, self.positions)
        return self.parameter(sparse.decode(kept, self.structure, self.rows, self.columns))

    def right_inverse(self, parameter: Tensor) -> Tensor:
        """What `parametrize` stores for a weight that is assigned: its values at the positions."""
        return sparse.at(self.matrices(parameter), self.structure, self.positions).values
