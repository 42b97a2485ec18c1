"""Joint compression: the stored numbers of any structure on a grid."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ernn.compress import sets
from ernn.compress.grids import Grid, LearnedStep
from ernn.compress.method import Method, Parts
from ernn.compress.spectral import packed_bins, unpacked_bins
from ernn.errors import UserError
from ernn.ir.structure import BlockCirculant, Structure


@dataclass(frozen=True)
class Quantized(Method):
    """Matrices of `inner`, their stored numbers on `grid`, alike within
    a weight (gates, rows, columns).

    Nearest for dense, block-circulant and sparse matrices, whose distance is that of their numbers;
    of decompositions each factor is rounded by itself, which is near but not nearest, and may move
    a little when projected again. `spectra`: what lies on the grid are the packed spectra of
    circulant blocks, which is what the engine stores. Trained inside by rounding straight through;
    with `LearnedStep` the step is trained too.
    """

    inner: Structure
    grid: Grid
    spectra: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.inner, Quantized) or not isinstance(self.inner, Structure):
            raise UserError(
                f"the inner structure of Quantized is dense or compressed, not {self.inner!r}"
            )
        if not isinstance(self.grid, Grid):
            raise UserError(f"a grid is such as Uniform(8) or Ternary(), not {self.grid!r}")
        if self.spectra and not isinstance(self.inner, BlockCirculant):
            raise UserError(f"only blocks have spectra, not {self.inner}")

    @property
    def pieces(self) -> int:
        return self.inner.pieces if isinstance(self.inner, Method) else 1

    def stored(self, shape: tuple[int, ...]) -> int:
        return self.inner.stored(shape)

    def multiplications(self, shape: tuple[int, ...]) -> int:
        return self.inner.multiplications(shape)

    def bits(self, shape: tuple[int, ...], number_bits: int) -> int:
        """A scale for each weight, or each factor of it, is counted."""
        return self.inner.bits(shape, self.grid.bits) + self.pieces * self.grid.scale_bits

    def taken(self) -> Structure:
        return self.inner.taken()

    def recognised(self) -> Structure:
        return self.inner if isinstance(self.inner, Method) and self.inner.factored else self

    def encode(self, matrix: Tensor) -> Parts:
        found = self._inner(matrix)
        return replace(found, tensors=tuple(self.grid.nearest(tensor) for tensor in found.tensors))

    def decode(self, parts: Parts, rows: int, columns: int) -> Tensor:
        tensors = parts.tensors
        if self.spectra:
            assert isinstance(self.inner, BlockCirculant)
            tensors = (tensors[0] @ unpacked_bins(self.inner.block).to(tensors[0]),)
        return sets.joined(replace(parts, tensors=tensors), self.inner, rows, columns)

    def _inner(self, matrix: Tensor) -> Parts:
        """Before rounding."""
        found = sets.parts(matrix, self.inner)
        if not self.spectra:
            return found
        assert isinstance(self.inner, BlockCirculant)
        return Parts((found.tensors[0] @ packed_bins(self.inner.block).to(matrix),))

    def start(self, matrix: Tensor) -> Parts:
        found = self._inner(matrix)
        if isinstance(self.grid, LearnedStep):
            found = replace(
                found,
                tensors=(*found.tensors, torch.stack([self.grid.step(t) for t in found.tensors])),
            )
        return found

    def again(self, matrix: Tensor, held: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not held:
            return self.start(matrix).tensors
        numbers = sets.at(matrix, self.inner, held)
        if not isinstance(self.grid, LearnedStep):
            return numbers
        return (*numbers, torch.stack([self.grid.step(tensor) for tensor in numbers]))

    def settled(self, parts: Parts) -> Parts:
        """Rounded; gradients pass."""
        if isinstance(self.grid, LearnedStep):
            *numbers, steps = parts.tensors
            rounded = tuple(
                self.grid.trained(n, step) for n, step in zip(numbers, steps.unbind(0), strict=True)
            )
        else:
            rounded = tuple(self.grid.through(tensor) for tensor in parts.tensors)
        return replace(parts, tensors=rounded)

    def rebuilt(self, parts: Parts, rows: int, columns: int) -> Tensor:
        return self.decode(self.settled(parts), rows, columns)

    def weaker(self, share: float) -> "Quantized":
        return replace(self, inner=sets.weaker(self.inner, share))
