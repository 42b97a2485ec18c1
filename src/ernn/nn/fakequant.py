"""Rounding to fixed point in the midst of training: forward what the integers do, backward as if
nothing were rounded.

`fake_quantize(x, format)` equals `dequantize(quantize(x, format), format)` of `ernn.ir.fixed_point`
for every number of x's type (in single precision of formats up to 24 bits).  Its gradient is that
of the identity (straight-through: Bengio, Léonard, Courville 2013; Courbariaux, Bengio, David
2015), and 0 where the value saturates.
"""

from typing import Any

import torch
from torch import Tensor

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_parts import ActivationTable
from ernn.nn.activations import FUNCTIONS


def floor_half_up(scaled: Tensor) -> Tensor:
    """Nearest integer, halves up, exactly: x + 0.5 may round in single precision, x - floor(x)
    never does.
    """
    floor = scaled.floor()
    return floor + (scaled - floor >= 0.5)


def at_random(scaled: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Stochastic rounding (Gupta et al. 2015): up or down with the chances that make the mean
    exact.
    """
    floor = scaled.floor()
    dice = torch.rand(scaled.shape, generator=generator, dtype=scaled.dtype, device=scaled.device)
    return floor + (dice < scaled - floor)


def fake_quantize(values: Tensor, format: FixedFormat, random: bool = False) -> Tensor:
    """Nearest values of `format`, halves up, saturating; `random`: rounded up or down at random
    instead.
    """
    return _Rounding.apply(values, format, random)  # type: ignore[return-value]


def tabulated(
    values: Tensor, table: ActivationTable, results: Tensor, random: bool = False
) -> Tensor:
    """The table's function of `values` rounded to its input format; the gradient is that of the
    true function.

    `results`: of all inputs of the table, `table_results`.
    """
    return _Table.apply(values, table, results, random)  # type: ignore[return-value]


def table_results(table: ActivationTable) -> Tensor:
    """What the table gives for each of its inputs from the lowest up, as real numbers, float64
    (2**width,).
    """
    low_bits, half = table.input.width - table.segment_bits, (1 << table.slope_shift) >> 1
    rest = torch.arange(1 << low_bits)
    base, slope = (torch.from_numpy(numbers)[:, None] for numbers in (table.base, table.slope))
    lines = ((base << table.slope_shift) + slope * rest + half) >> table.slope_shift
    return lines.flatten().clamp(table.output.low, table.output.high).double() * table.output.step


def _integers(values: Tensor, format: FixedFormat, random: bool) -> tuple[Tensor, Tensor]:
    """Rounded, and clamped to the format."""
    scaled = values * 2.0**format.frac
    rounded = at_random(scaled) if random else floor_half_up(scaled)
    return rounded, rounded.clamp(format.low, format.high)


class _Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, format: FixedFormat, random: bool) -> Tensor:
        rounded, held = _integers(values, format, random)
        ctx.save_for_backward(rounded == held)
        return held * format.step

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


class _Table(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, table: ActivationTable, results: Tensor, random: bool
    ) -> Tensor:
        ctx.save_for_backward(values)
        ctx.function = table.function
        _, held = _integers(values, table.input, random)
        found = results[(held - table.input.low).nan_to_num(0.0).long()]
        return torch.where(held.isnan(), held, found)  # a diverged training must be seen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (values,) = ctx.saved_tensors
        with torch.enable_grad():
            x = values.detach().requires_grad_()
            y = FUNCTIONS[ctx.function](x)
        return torch.autograd.grad(y, x, gradients[0])[0], None, None, None
