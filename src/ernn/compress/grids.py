"""Grids of numbers that weights may be confined to, as frozen values, and how to get onto them.

`nearest` is the projection of a tensor onto the grid, its scale chosen from the tensor where the
grid leaves it open. `through` is the same with the gradient of the identity (straight-through:
Courbariaux, Bengio, David 2015).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ernn.errors import UserError
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.structure import Description
from ernn.nn.fakequant import at_random, floor_half_up
from ernn.quantization.scales import fit


class Grid(Description, ABC):
    """`bits`: of one number. `scale_bits`: of what is stored once a weight."""

    bits: int
    scale_bits: int = 8  # an exponent

    @abstractmethod
    def nearest(self, values: Tensor) -> Tensor:
        """Nearest point, the whole tensor with one scale; applied twice it changes nothing more."""

    def through(self, values: Tensor) -> Tensor:
        """`nearest`, with the gradient of the identity."""
        return values + (self.nearest(values.detach()) - values.detach())


def require_bits(bits: int, least: int, most: int) -> None:
    if type(bits) is not int or not least <= bits <= most:
        raise UserError(f"this grid has {least}..{most} bits, not {bits!r}")


@dataclass(frozen=True)
class Uniform(Grid):
    """Fixed point of `bits` bits, as in `ernn.ir.fixed_point`: nearest, halves up, saturating.

    `frac`: fraction bits; None: the most with which the largest weight does not
    saturate, as in `ernn quantize`.
    """

    bits: int
    frac: int | None = None

    def __post_init__(self) -> None:
        require_bits(self.bits, 2, 16)

    def format(self, values: Tensor) -> FixedFormat:
        """The format for a tensor."""
        if self.frac is not None:
            return FixedFormat(self.bits, self.frac)
        return fit(float(values.detach().abs().amax()), self.bits)

    def nearest(self, values: Tensor) -> Tensor:
        format = self.format(values)
        return floor_half_up(values * 2.0**format.frac).clamp(format.low, format.high) * format.step

    def random(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Stochastic rounding (Gupta et al. 2015): up or down so
        that the mean is exact; saturating.
        """
        format = self.format(values)
        return (
            at_random(values * 2.0**format.frac, generator).clamp(format.low, format.high)
            * format.step
        )


@dataclass(frozen=True)
class PowersOfTwo(Grid):
    """0 and +-2**e for 2**(bits - 1) - 1 exponents e, the highest nearest the largest weight."""

    bits: int

    def __post_init__(self) -> None:
        require_bits(self.bits, 2, 8)

    def nearest(self, values: Tensor) -> Tensor:
        size = values.abs()
        top = _nearest_exponent(size.amax())
        least = top - (2 ** (self.bits - 1) - 2)
        exponent = torch.minimum(_nearest_exponent(size), top).maximum(least)
        kept = size >= torch.ldexp(torch.ones_like(least), least - 1)  # halfway to zero
        return torch.where(kept, torch.ldexp(torch.ones_like(size), exponent), 0) * values.sign()


def _nearest_exponent(size: Tensor) -> Tensor:
    """e with 2**e nearest to `size`; a tie (1.5 * 2**e) goes up."""
    mantissa, exponent = torch.frexp(size)  # size = mantissa * 2**exponent, mantissa in [0.5, 1)
    return (exponent - 1 + (mantissa >= 0.75)).to(size.dtype)


@dataclass(frozen=True)
class Ternary(Grid):
    """-a, 0 and a, with the nearest a and threshold of all (optimum of Li, Zhang, Liu 2016)."""

    bits = 2
    scale_bits = 32

    def nearest(self, values: Tensor) -> Tensor:
        size = values.abs().flatten()
        falling = size.sort(descending=True).values
        total, count = falling.cumsum(0), torch.arange(1, len(size) + 1, device=size.device)
        # Keeping m numbers at their mean saves (sum of them)**2 / m.
        best = int((total.square() / count).argmax())
        scale = total[best] / count[best]
        return torch.where(values.abs() >= falling[best], scale, 0) * values.sign()


@dataclass(frozen=True)
class Binary(Grid):
    """-a and a, a the mean size: the nearest (Rastegari et al. 2016). Zero counts as positive."""

    bits = 1
    scale_bits = 32

    def nearest(self, values: Tensor) -> Tensor:
        scale = values.abs().mean()
        return torch.where(values >= 0, scale, -scale)


@dataclass(frozen=True)
class LearnedStep(Grid):
    """Multiples of a real step, -2**(bits-1) .. 2**(bits-1) - 1 of them, the step
    trained too (LSQ: Esser et al. 2020).

    `nearest` refines steps that hold the largest weight, and takes the one of least squares.
    """

    bits: int
    scale_bits = 32

    def __post_init__(self) -> None:
        require_bits(self.bits, 2, 8)

    @property
    def _limits(self) -> tuple[int, int]:
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1

    def step(self, values: Tensor) -> Tensor:
        """The step that `nearest` uses."""
        low, high = self._limits
        largest, best, error = (
            values.abs().amax(),
            values.new_ones(()),
            values.new_tensor(float("inf")),
        )
        if not largest:
            return best
        for count in range(1, -low + 1):
            step = largest / count
            for _ in range(4):
                found = ((values - self.at(values, step)) ** 2).sum()
                if found < error:
                    best, error = step, found
                counts = floor_half_up(values / step).clamp(low, high)
                step = (counts * values).sum() / counts.square().sum().clamp(min=1e-30)
                if step <= 0:
                    break
        return best

    def at(self, values: Tensor, step: Tensor) -> Tensor:
        """Nearest multiple of `step`."""
        return floor_half_up(values / step).clamp(*self._limits) * step

    def nearest(self, values: Tensor) -> Tensor:
        return self.at(values, self.step(values))

    def trained(self, values: Tensor, step: Tensor) -> Tensor:
        """`at`, with LSQ's gradients to the values and to the step."""
        low, high = self._limits
        scale = 1 / (values.numel() * high) ** 0.5
        step = step * scale + (step - step * scale).detach()
        ratio = (values / step).clamp(low, high)
        return (ratio + (floor_half_up(ratio) - ratio).detach()) * step
