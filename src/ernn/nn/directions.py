"""One layer of an LSTM or GRU in one direction, on the processor: torch's parameters to a scan over
time.

A layer has one block size, that of its recurrent matrix where it has one; a matrix of another size
is decoded. `suffix` names the parameters as torch does: "_l0", "_l1_reverse".  x is (time, batch,
inputs), states (batch, size).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ernn.nn.gru_scan import GruAfterScan, GruBeforeScan
from ernn.nn.lstm_scan import LstmScan
from ernn.nn.lstm_whole import LstmWhole, suits
from ernn.nn.order import from_order, gates_to_order, to_order
from ernn.nn.spectra import spectrum
from ernn.nn.stored import Stored, stored


def lstm(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs (time, batch, outputs) and (h, c) of torch.nn.LSTM, or of one with `peephole`
    parameters.
    """
    hidden, batch = owner.hidden_size, x.shape[1]
    names = ["weight_hh", "weight_ih", *(["weight_hr"] if owner.proj_size else [])]
    block, (back, into, *projection) = _weights(owner, [name + suffix for name in names])
    bias = _gates(
        _bias(owner, f"bias_ih{suffix}") + _bias(owner, f"bias_hh{suffix}"),
        hidden,
        range(4),
        block,
        batch,
    )
    peephole = getattr(owner, f"peephole{suffix}", None)
    inputs = (
        _columns(x, into),
        _state(state[0], block),
        _state(state[1], block),
        _matrix(into, hidden, range(4), block, False),
        _matrix(back, hidden, range(4), block, True),
    )
    last = _matrix(projection[0], owner.proj_size, range(1), block, True) if projection else None
    looks = (
        bias.new_zeros(block, 0, bias.shape[2])
        if peephole is None
        else _gates(peephole.flatten(), hidden, range(3), block, batch)
    )
    keep = _differentiable((*inputs, last, bias, looks))
    if keep and suits(inputs[0], inputs[3], inputs[4], last):
        y, c = LstmWhole.apply(*inputs, bias, looks)  # type: ignore[misc]
    else:
        y, c = LstmScan.apply(*inputs, last, bias, looks, keep)  # type: ignore[misc]
    outputs = _outputs(y, block)
    return outputs, (outputs[-1], from_order(c, block, 0).t())


def gru_after(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and (h,) of torch.nn.GRU."""
    hidden, batch = owner.hidden_size, x.shape[1]
    block, (back, into) = _weights(owner, [f"weight_hh{suffix}", f"weight_ih{suffix}"])
    of_input, of_state = _bias(owner, f"bias_ih{suffix}"), _bias(owner, f"bias_hh{suffix}")
    r_z, n = (of_input + of_state)[: 2 * hidden], slice(2 * hidden, None)
    inputs = (
        _columns(x, into),
        _state(state[0], block),
        _matrix(into, hidden, (2, 0, 1), block, False),
        _matrix(back, hidden, (0, 1, 2), block, True),
        _gates(torch.cat([of_input[n], r_z, of_state[n]]), hidden, range(4), block, batch),
    )
    outputs = _outputs(GruAfterScan.apply(*inputs, _differentiable(inputs)), block)  # type: ignore[arg-type]
    return outputs, (outputs[-1],)


def gru_before(
    owner: Any, suffix: str, x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and (h,) of `ernn.nn.cells.ResetBeforeGRU`."""
    hidden, batch = owner.hidden_size, x.shape[1]
    block, (back, into) = _weights(owner, [f"weight_hh{suffix}", f"weight_ih{suffix}"])
    bias = _bias(owner, f"bias_ih{suffix}") + _bias(owner, f"bias_hh{suffix}")
    inputs = (
        _columns(x, into),
        _state(state[0], block),
        _matrix(into, hidden, (2, 0, 1), block, False),
        _matrix(back, hidden, (0, 1), block, True),
        _matrix(back, hidden, (2,), block, True),
        _gates(bias, hidden, (2, 0, 1), block, batch),
    )
    outputs = _outputs(GruBeforeScan.apply(*inputs, _differentiable(inputs)), block)  # type: ignore[arg-type]
    return outputs, (outputs[-1],)


def _weights(owner: Any, names: Sequence[str]) -> tuple[int, list[Stored]]:
    """The layer's block size and its matrices, each in blocks of that size or dense."""
    found = [stored(owner, name) for name in names]
    sizes = owner.hidden_size, getattr(owner, "proj_size", 0)
    block = next(
        (s.block for s in found if s.block > 1 and not any(size % s.block for size in sizes)), 1
    )
    fits = [s.block in (1, block) for s in found]
    return block, [
        s if fit else Stored(getattr(owner, n))
        for s, n, fit in zip(found, names, fits, strict=True)
    ]


def _bias(owner: Any, name: str) -> Tensor:
    if hasattr(owner, name):
        return getattr(owner, name)
    weight = getattr(owner, name.replace("bias", "weight"))
    return weight.new_zeros(len(weight))


def _matrix(weight: Stored, units: int, gates: Sequence[int], block: int, of_units: bool) -> Tensor:
    """The chosen gates' rows as the scans want them; `of_units`: whether the columns are units, not
    inputs.
    """
    if weight.block == 1:
        rows = gates_to_order(weight.values, units, gates, block)
        return (to_order(rows, block, 1) if of_units else rows).contiguous()
    chosen = (
        weight.values
        if len(gates) == len(weight.values) == gates[-1] + 1
        else weight.values[list(gates)]
    )
    return spectrum(chosen.flatten(0, 1)).movedim(2, 0).contiguous()


def _gates(values: Tensor, units: int, gates: Sequence[int], block: int, batch: int) -> Tensor:
    """(gate, unit) flattened to (block, gate, units / block * batch), the same for the whole
    batch.
    """
    ordered = gates_to_order(values, units, gates, block).view(block, len(gates), -1, 1)
    return ordered.expand(-1, -1, -1, batch).reshape(block, len(gates), -1)


def _columns(x: Tensor, into: Stored) -> Tensor:
    """(time, batch, inputs) to (time, inputs, batch), in the order and with the padding of a matrix
    in blocks.
    """
    padded = pad(x, (0, -x.shape[2] % into.block))
    return to_order(padded.transpose(1, 2), into.block, 1).contiguous()


def _state(state: Tensor, block: int) -> Tensor:
    return to_order(state.t(), block, 0).contiguous()


def _outputs(y: Tensor, block: int) -> Tensor:
    # Always a copy: whoever writes to the outputs in place shall not write to what the gradient
    # needs.
    return from_order(y, block, 1).transpose(1, 2).clone(memory_format=torch.contiguous_format)


def _differentiable(inputs: Sequence[Tensor | None]) -> bool:
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
