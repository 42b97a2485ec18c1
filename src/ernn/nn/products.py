"""Products over time, forward and backward: a weight times all that it reads, frame by frame.

Vectors are columns, (units, batch): the orientation in which a BLAS is fastest at the batch sizes
of training. What a weight reads lies one below the other. Of a weight in blocks all are spectra,
with an axis r in front. The weight's gradient is gathered for several frames at once.
"""

from functools import cached_property

import torch
from torch import Tensor

from ernn.nn.rooms import Frames


class Product:
    """weight ([r,] rows, columns); frames of `reads` ([r,] columns, batch), of `out` ([r,] rows,
    batch).
    """

    def __init__(self, weight: Tensor, reads: Frames, out: Frames) -> None:
        self.weight, self.reads, self._out = weight, reads, out
        dense = weight.dim() == 2
        self._set, self._add = (torch.mm, torch.addmm) if dense else (torch.bmm, torch.baddbmm)

    def forward(self, t: int) -> None:
        """The product of frame t."""
        self._set(self.weight, self.reads[t], out=self._out[t])

    def start_back(
        self, d: Frames, to: Frames | None, first: int, adds: bool, total: Tensor
    ) -> None:
        """Before the way back. d: gradients of `out`. to: of what the columns from `first` on read,
        added to if `adds`; None where there are none. total: receives the weight's.
        """
        self._d, self.to, self._adds, self.first = d, to, adds, first
        self.total = total.view(self.weight.shape)

    @cached_property
    def _turned(self) -> Tensor:
        return self.weight[..., self.first :].transpose(-1, -2).contiguous()

    def backward(self, t: int) -> None:
        """The gradients of what frame t's product reads."""
        if self.to is None:
            return
        to = self.to[t]
        if self._adds:
            self._add(to, self._turned, self._d[t], out=to)
        else:
            self._set(self._turned, self._d[t], out=to)

    def gather(self, first: int, behind: int) -> None:
        """Adds to `total` the weight's gradient of frames from `first` on before `behind`."""
        d, read = (beside(one.some(first, behind)) for one in (self._d, self.reads))
        self._add(self.total, d, read.transpose(-1, -2), out=self.total)


def beside(frames: Tensor) -> Tensor:
    """(frames, ..., batch) to (..., frames * batch)."""
    return frames[0] if len(frames) == 1 else frames.movedim(0, -2).flatten(-2)
