"""A parameter of any shape as the matrices that structures are of, and back."""

from torch import Size, Tensor, nn


class Shaped(nn.Module):
    """Base of what turns stored numbers into a parameter of `shape`, which is (gates, rows,
    columns) in torch's order: the last dimensions of a convolution are columns, or its taps are the
    gates.
    """

    def __init__(self, matrices: Size, shape: Size) -> None:
        super().__init__()
        self.gates, self.rows, self.columns = matrices
        self.shape = shape
        self.by_tap = len(shape) > 2 and (self.rows, self.columns) == tuple(shape[:2])

    def parameter(self, matrices: Tensor) -> Tensor:
        return (matrices.permute(1, 2, 0) if self.by_tap else matrices).reshape(self.shape)

    def matrices(self, parameter: Tensor) -> Tensor:
        """(gates, rows, columns)."""
        if self.by_tap:
            return parameter.flatten(2).permute(2, 0, 1)
        return parameter.reshape(self.gates, self.rows, self.columns)
