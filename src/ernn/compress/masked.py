"""Training inside a sparse set: kept weights are the parameters, their positions are fixed."""

from torch import Tensor, nn

from ernn.compress import sparse
from ernn.ir.structure import Sparse


class Spread(nn.Module):
    """Kept weights to the parameter (gates * rows, columns)."""

    positions: Tensor

    def __init__(self, structure: Sparse, weight: Tensor) -> None:
        """`weight` (gates, rows, columns): its largest are kept from now on."""
        super().__init__()
        self.structure, (_, self.rows, self.columns) = structure, weight.shape
        self.register_buffer("positions", sparse.encode(weight, structure).positions)

    def forward(self, values: Tensor) -> Tensor:
        kept = sparse.Kept(values, self.positions)
        return sparse.decode(kept, self.structure, self.rows, self.columns).flatten(0, 1)

    def right_inverse(self, parameter: Tensor) -> Tensor:
        """What `parametrize` stores for a weight that is assigned: its values at the positions."""
        return sparse.at(
            parameter.unflatten(0, (-1, self.rows)), self.structure, self.positions
        ).values
