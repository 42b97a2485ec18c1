"""Cells of the library against packages that other people wrote and published."""

import sys
from types import ModuleType

import LRU_pytorch
import numpy as np
import torch
from torch import Tensor

from ernn.ir.cells import FASTGRNN, LRU
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.reference import run

# The package asks for its CUDA extension even where there is none; the cell itself needs none.
sys.modules.setdefault("fastgrnn_cuda", ModuleType("fastgrnn_cuda"))
from edgeml_pytorch.graph.rnn import FastGRNNCell  # noqa: E402


def _matrix(values: Tensor) -> Matrix:
    """(rows, columns) as one gate."""
    return Matrix(values.detach().double().numpy()[None])


def test_lru_is_the_packages() -> None:
    """Its state is complex, ours two real vectors; gamma is part of what multiplies the input."""
    torch.manual_seed(0)
    theirs, frames = LRU_pytorch.LRU(5, 4, 8), torch.randn(12, 5)
    size = torch.exp(-torch.exp(theirs.nu_log))
    eigenvalues = size * torch.exp(1j * torch.exp(theirs.theta_log))
    into = (torch.exp(theirs.gamma_log)[:, None] * theirs.B).detach()
    both = np.stack([into.real.double().numpy(), into.imag.double().numpy()])
    layer = Layer(
        LRU,
        (
            (Matrix(both),),
            (_matrix(theirs.C.real), _matrix(-theirs.C.imag), _matrix(theirs.D)),
        ),
        (None, None),
        tuple(part.detach().double().numpy() for part in (eigenvalues.real, eigenvalues.imag)),
    )
    outputs, _ = run(Network((layer,)), frames.double().numpy())
    np.testing.assert_allclose(outputs, theirs(frames).detach(), atol=1e-5)


def test_fastgrnn_is_the_packages() -> None:
    torch.manual_seed(1)
    cell, frames = FastGRNNCell(5, 6), torch.randn(12, 5)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.5 * torch.randn_like(parameter)
        zeta, nu = torch.sigmoid(cell.zeta).item(), torch.sigmoid(cell.nu).item()
        state, expected = torch.zeros(1, 6), []
        for frame in frames:
            state = cell(frame[None], state)
            expected.append(state[0].numpy())
    biases = tuple(b.detach().double().numpy()[0] for b in (cell.bias_gate, cell.bias_update))
    mix = np.full(6, zeta + nu), np.full(6, -zeta)
    layer = Layer(FASTGRNN, ((_matrix(cell.W), _matrix(cell.U)),), (None,), (*biases, *mix))
    outputs, _ = run(Network((layer,)), frames.double().numpy())
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
