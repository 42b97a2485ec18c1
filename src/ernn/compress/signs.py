"""Signs that lose least of trained weights, for `ernn.ir.structure.Signed` blocks.

The norm that a projection keeps is, block column by block column, a quadratic form of its signs:
|| Pi(W D) ||^2 = sum over block columns of s' G s / k, where G gathers, over all matrices that read
the signal, products of the columns' entries on the same wrapped diagonal.  It is raised by flipping
one sign after the other, from no signs at all and from those of the leading eigenvector.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ernn.compress.plan import CompressionPlan, NamedMatrix, compressed
from ernn.ir.structure import BlockCirculant, Signed


def chosen(weights: Sequence[Tensor], block: int) -> str:
    """Signs of the columns of all matrices (gates, rows, columns) that read one signal.

    As `Signed.signs`: never worse than none, where blocks are whole.
    """
    form = torch.stack([_form(weight.detach().double(), block) for weight in weights]).sum(0)
    ones = torch.ones(form.shape[:2], dtype=form.dtype)
    leading = torch.linalg.eigh(form).eigenvectors[..., -1]
    starts = [_raised(form, s) for s in (ones, torch.where(leading < 0, -1.0, 1.0).double())]
    kept = torch.stack([_kept(form, signs) for signs in starts])
    best = torch.stack(starts)[kept.argmax(0), torch.arange(len(form))]
    return "".join("+" if s > 0 else "-" for s in best.flatten()[: weights[0].shape[-1]].tolist())


def _form(weight: Tensor, k: int) -> Tensor:
    """G (block columns, k, k) of one weight."""
    rows, columns = weight.shape[-2:]
    padded = pad(weight, (0, -columns % k, 0, -rows % k)).unflatten(-1, (-1, k))
    blocks = padded.unflatten(-3, (-1, k))  # gates, block rows, row, block columns, column
    column = torch.arange(k)
    row = (torch.arange(k)[:, None] + column) % k  # of diagonal d in a column
    aligned = blocks.movedim(3, 0)[..., row, column].flatten(1, 3)
    return aligned.transpose(-1, -2) @ aligned


def _kept(form: Tensor, signs: Tensor) -> Tensor:
    return torch.einsum("ci,cij,cj->c", signs, form, signs)


def _raised(form: Tensor, signs: Tensor) -> Tensor:
    """Signs (block columns, k), of which no single flip keeps more."""
    signs, own = signs.clone(), form.diagonal(dim1=1, dim2=2)
    while True:
        gain = -signs * (torch.einsum("cij,cj->ci", form, signs) - own * signs)
        best, place = gain.max(1)
        worth = best > 1e-12 * own.sum(1)
        if not worth.any():
            return signs
        signs[worth, place[worth]] *= -1


def with_signs(module: nn.Module, plan: CompressionPlan) -> CompressionPlan:
    """The plan with signs chosen for the weights that `module` has now.

    Of `Signed` matrices in blocks; those that read one signal get the same signs, so that they are
    applied once.
    """
    by_signal: dict[tuple[str, int, int], list[NamedMatrix]] = {}
    layers = len(getattr(module, "recurrent", ()))
    for matrix in compressed(module, plan):
        match matrix.structure:
            case Signed(inner=BlockCirculant(block=block)):
                key = _signal(matrix, layers), matrix.weight.shape[-1], block
                by_signal.setdefault(key, []).append(matrix)
    for (_, _, block), found in by_signal.items():
        signs = chosen([matrix.weight for matrix in found], block)
        for matrix in found:
            assert isinstance(matrix.structure, Signed)
            plan = plan.override(matrix.name, replace(matrix.structure, signs=signs))
    return plan


def _signal(matrix: NamedMatrix, layers: int) -> str:
    """A name for what a matrix reads: the same for all that read a layer's output.

    In an `AcousticModel` of so many `layers` a layer reads the one before it, and `output` the
    last; in other modules a stacked layer reads the one below it.
    """
    owner, _, attribute = matrix.name.rpartition(".")
    stack, _, number = owner.rpartition(".")
    last = attribute.removesuffix("_reverse").rpartition("_l")[2]
    layer = int(last) if last.isdigit() else 0
    match matrix.role:
        case "input" if layer > 0:
            return f"{owner} {layer - 1}"
        case "input" if stack == "recurrent" and int(number) > 0:
            return f"recurrent.{int(number) - 1} 0"
        case "recurrent":
            return f"{owner} {layer}"
        case "output" if owner == "output" and layers > 0:
            return f"recurrent.{layers - 1} 0"
        case role:
            return f"{owner} {role} {layer}"
