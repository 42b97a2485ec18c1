"""A parameter of any shape as the matrices that structures are of, and back."""

from torch import Size, Tensor, nn


class Shaped(nn.Module):
    """Base of what turns stored numbers into a parameter of `shape`, which is (gates, rows,
    columns) in torch's order: the last dimensions of a convolution are columns.
    """

    def __init__(self, matrices: Size, shape: Size) -> None:
        super().__init__()
        self.gates, self.rows, self.columns = matrices
        self.shape = shape

    def parameter(self, matrices: Tensor) -> Tensor:
        return matrices.reshape(self.shape)

    def matrices(self, parameter: Tensor) -> Tensor:
        """(gates, rows, columns)."""
        return parameter.reshape(self.gates, self.rows, self.columns)
