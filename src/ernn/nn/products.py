"""Products of a weight with one time step's vectors, forward and backward, in buffers made once a
sequence.

Vectors are columns, (units, batch): the orientation in which a BLAS is fastest at the batch sizes
of training. `DenseProduct` multiplies as it is, `CirculantProduct` in the frequency domain; a scan
over time uses either alike:

    operand = p.operand(v); total([(p, operand), ...], out)                 out = sum of W v
    spread = p.spread(d); p.back(spread, out); p.gather(spread, operand)    W^T d; the gradient of W
    plus d v^T
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from ernn.nn.spectra import transforms

_DENSE_TOGETHER, _SPECTRA_TOGETHER = 128, 16
"""Columns of d v^T that are multiplied at once.  With fewer, the gradient's own way to memory and
back takes most of the time, with more, the copies that put them side by side do (measured; spectra
stay in the second level cache)."""


class _Gather:
    """Adds d v^T to `sum` (r, rows, columns) step by step, several steps at once."""

    def __init__(self, like: Tensor, batch: int, together: int) -> None:
        self.sum, self._steps, self._held = torch.zeros_like(like), ceil(together / batch), 0
        r, rows, columns = like.shape
        if self._steps > 1:
            self._left = like.new_empty(r, rows, self._steps, batch)
            self._right = like.new_empty(r, columns, self._steps, batch)

    def add(self, left: Tensor, right: Tensor) -> None:
        """left (r, rows, batch), right (r, columns, batch)."""
        if self._steps == 1:
            self._accumulate(left, right)
            return
        self._left[:, :, self._held], self._right[:, :, self._held] = left, right
        self._held += 1
        if self._held == self._steps:
            self._flush()

    def finish(self) -> Tensor:
        if self._held:
            self._flush()
        return self.sum

    def _flush(self) -> None:
        columns = self._held * self._left.shape[3]
        self._accumulate(
            self._left.flatten(2)[:, :, :columns], self._right.flatten(2)[:, :, :columns]
        )
        self._held = 0

    def _accumulate(self, left: Tensor, right: Tensor) -> None:
        if len(self.sum) == 1:
            torch.addmm(self.sum[0], left[0], right[0].t(), out=self.sum[0])
        else:
            torch.baddbmm(self.sum, left, right.transpose(1, 2), out=self.sum)


class DenseProduct:
    """weight (rows, columns); operand and spread are the vectors themselves."""

    def __init__(self, weight: Tensor, batch: int) -> None:
        self.weight, self.batch = weight, batch

    def operands(self, vectors: Tensor) -> Sequence[Tensor]:
        """One operand a time step of vectors (time, columns, batch)."""
        return vectors.unbind(0)

    def operand(self, vector: Tensor) -> Tensor:
        return vector

    def multiply(self, operand: Tensor, out: Tensor, add: bool = False) -> None:
        flat = out.view(-1, self.batch)
        if add:
            torch.addmm(flat, self.weight, operand, out=flat)
        else:
            torch.mm(self.weight, operand, out=flat)

    def prepare_back(self, gradient: bool) -> None:
        """Before `back` and `gather`; `gradient`: whether the weight's is wanted."""
        self._transposed = self.weight.t().contiguous()
        self._gather = _Gather(self.weight[None], self.batch, _DENSE_TOGETHER) if gradient else None

    def spread(self, d: Tensor) -> Tensor:
        return d.view(-1, self.batch)

    def back(self, spread: Tensor, out: Tensor, add: Tensor | None = None) -> None:
        """out = W^T d, plus `add`."""
        if add is None:
            torch.mm(self._transposed, spread, out=out)
        else:
            torch.addmm(add, self._transposed, spread, out=out)

    def gather(self, spread: Tensor, operand: Tensor) -> None:
        if self._gather:
            self._gather.add(spread[None], operand[None])

    def gradient(self) -> Tensor | None:
        return self._gather.finish()[0] if self._gather else None


class CirculantProduct:
    """weight (r, block rows, block columns): the spectra of its blocks. Vectors are in the order of
    `ernn.nn.order`.
    """

    def __init__(self, weight: Tensor, block: int, batch: int) -> None:
        self.weight, self.block, self.batch = weight, block, batch
        self.r, self.rows, self.columns = weight.shape
        self.analysis, self.synthesis = transforms(block, weight.dtype)
        self.sum = weight.new_empty(self.r, self.rows, batch)

    def operands(self, vectors: Tensor) -> Sequence[Tensor]:
        apart = vectors.unflatten(1, (self.block, -1)).transpose(0, 1).reshape(self.block, -1)
        return (
            (self.analysis @ apart).view(self.r, len(vectors), self.columns, self.batch).unbind(1)
        )

    def operand(self, vector: Tensor) -> Tensor:
        return torch.mm(self.analysis, vector.view(self.block, -1)).view(
            self.r, self.columns, self.batch
        )

    def multiply(self, operand: Tensor, out: Tensor, add: bool = False) -> None:
        torch.bmm(self.weight, operand, out=self.sum)
        self.close(self.sum, out, add)

    def close(self, spectra: Tensor, out: Tensor, add: bool = False) -> None:
        flat = out.view(self.block, -1)
        if add:
            torch.addmm(flat, self.synthesis, spectra.view(self.r, -1), out=flat)
        else:
            torch.mm(self.synthesis, spectra.view(self.r, -1), out=flat)

    def prepare_back(self, gradient: bool) -> None:
        self._transposed = self.weight.transpose(1, 2).contiguous()
        self._back = self.weight.new_empty(self.r, self.columns, self.batch)
        self._gather = _Gather(self.weight, self.batch, _SPECTRA_TOGETHER) if gradient else None
        self._from_synthesis, self._from_analysis = (
            self.synthesis.t().contiguous(),
            self.analysis.t().contiguous(),
        )

    def spread(self, d: Tensor) -> Tensor:
        return torch.mm(self._from_synthesis, d.view(self.block, -1)).view(
            self.r, self.rows, self.batch
        )

    def back(self, spread: Tensor, out: Tensor, add: Tensor | None = None) -> None:
        torch.bmm(self._transposed, spread, out=self._back)
        flat, back = out.view(self.block, -1), self._back.view(self.r, -1)
        if add is None:
            torch.mm(self._from_analysis, back, out=flat)
        else:
            torch.addmm(add.view(self.block, -1), self._from_analysis, back, out=flat)

    def gather(self, spread: Tensor, operand: Tensor) -> None:
        if self._gather:
            self._gather.add(spread, operand)

    def gradient(self) -> Tensor | None:
        return self._gather.finish() if self._gather else None


Product = DenseProduct | CirculantProduct


def step_back(
    product: Product, d: Tensor, operand: Tensor, out: Tensor | None, add: Tensor | None = None
) -> None:
    """One step back through a product: its weight's gradient plus d v^T and, where wanted, out =
    W^T d, plus `add`.
    """
    spread = product.spread(d)
    product.gather(spread, operand)
    if out is not None:
        product.back(spread, out, add)


def product(weight: Tensor, block: int, batch: int) -> Product:
    """Of a weight (rows, columns), or of the spectra (r, block rows, block columns) of one in
    blocks.
    """
    return (
        DenseProduct(weight, batch) if weight.dim() == 2 else CirculantProduct(weight, block, batch)
    )


def largest(products: Sequence[Product | None]) -> int:
    """Multiplications of a step's largest product."""
    return max(p.weight.numel() * p.batch for p in products if p)


def total(first: tuple[Product, Tensor], second: tuple[Product, Tensor], out: Tensor) -> None:
    """out = the sum of two products; two in blocks, which are of one size, are added as spectra."""
    (a, a_operand), (b, b_operand) = first, second
    if isinstance(a, CirculantProduct) and isinstance(b, CirculantProduct):
        torch.bmm(a.weight, a_operand, out=a.sum)
        torch.baddbmm(a.sum, b.weight, b_operand, out=a.sum)
        a.close(a.sum, out)
    else:
        a.multiply(a_operand, out)
        b.multiply(b_operand, out, add=True)


def spread_both(a: Product, b: Product, d: Tensor) -> tuple[Tensor, Tensor]:
    """`spread` of one gradient for two products."""
    spread = a.spread(d)
    return spread, spread if type(a) is type(b) else b.spread(d)
