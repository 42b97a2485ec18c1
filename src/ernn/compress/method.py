"""What a structure in a file of its own brings: all that solvers, training and counting need."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ernn.ir.structure import Factors, Structure


@dataclass(frozen=True, eq=False)
class Parts:
    """Stored numbers in several tensors, and, if a structure leaves
    that open, where they lie (`held`).
    """

    tensors: tuple[Tensor, ...]
    held: tuple[Tensor, ...] = ()

    def numel(self) -> int:
        """Numbers stored; places are not among them."""
        return sum(tensor.numel() for tensor in self.tensors)


class Method(Structure):
    """A structure with its torch functions; matrices are (..., rows, columns).

    `encode`, `decode` and `stored` are enough.  Training inside the set begins with `start`, turns
    its `tensors` by gradients that pass `rebuilt`, and leaves `held` as it is.  `factored`: numbers
    are multiplied with each other, so that rounding them is not rounding the matrix.
    """

    factored: ClassVar[bool] = False

    @property
    def pieces(self) -> int:
        """Tensors that `encode` gives; on a grid each has a scale of its own."""
        return 1

    @abstractmethod
    def encode(self, matrix: Tensor) -> Parts:
        """The numbers stored for the nearest matrix of the set; as many as `stored` says."""

    @abstractmethod
    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        """The matrix of stored numbers."""

    def project(self, matrix: Tensor) -> Tensor:
        """The nearest matrix of the set in Frobenius norm, or as near as
        the structure's docstring says.
        """
        return self.decode(self.encode(matrix), *matrix.shape[-2:])

    def nearest(self, matrix: np.ndarray) -> np.ndarray:
        return self.project(torch.from_numpy(matrix)).numpy()

    def start(self, matrix: Tensor) -> Parts:
        """What is trained, and what is held meanwhile."""
        return self.encode(matrix)

    def again(self, matrix: Tensor, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What is trained for another matrix with the same `held`."""
        return self.start(matrix).tensors

    def rebuilt(self, parts: Parts, rows: int, columns: int) -> Tensor:
        """The matrix of what is trained; gradients pass."""
        return self.decode(parts, rows, columns)

    def settled(self, parts: Parts) -> Parts:
        """What is stored of what is trained."""
        return parts

    def split(self, parts: Parts) -> Factors:
        """Stored numbers of a factored structure as the matrices whose product it is."""
        raise TypeError(f"{self} is no product of matrices")

    def factors(self, matrix: np.ndarray) -> Factors | None:
        return self.split(self.encode(torch.from_numpy(matrix))) if self.factored else None

    def weaker(self, share: float) -> Structure:
        """The structure at a `share` of the way to itself, for gradual compression; or itself."""
        return self
