"""The parameters of a recurrent or linear module as its cell's description names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell, CellProduct, Read
from ernn.ir.cells import GRU_AFTER, LINEAR, lstm_cell
from ernn.nn.stored import Weight

X, H = str(Read(INPUT)), str(Read("h", 1))
lstm = cache(lstm_cell)


@dataclass(frozen=True, eq=False)
class Parameters:
    """Of one direction of one layer.

    rows: of a gate, by product. weights: by product and what it reads. biases (gates * rows,): by
    product; one that is missing is 0. vectors: by name.
    """

    cell: Cell
    rows: Mapping[str, int]
    weights: Mapping[tuple[str, str], Weight]
    biases: Mapping[str, Tensor]
    vectors: Mapping[str, Tensor]

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Length of every step, and of the inputs that steps read."""
        known = tuple((name, len(vector)) for name, vector in self.vectors.items())
        return _lengths(self.cell, tuple(self.rows.items()), known)


@cache
def _lengths(
    cell: Cell, rows: tuple[tuple[str, int], ...], vectors: tuple[tuple[str, int], ...]
) -> dict[str, int]:
    by_steps = {read.name for step in cell.steps for read in step.reads}
    others = dict.fromkeys((name for name in cell.inputs if name not in by_steps), 0)
    lengths = cell.lengths(dict(rows), dict(vectors) | others)
    return {name: length for name, length in lengths.items() if name not in others}


def weight_name(product: CellProduct, read: Read) -> str:
    """The parameter that multiplies what is read; of several steps or delays it names which."""
    of_input = read.name == INPUT
    way = "ih" if of_input else "hh"
    alike = [one for one in product.reads if (one.name == INPUT) == of_input]
    if len(alike) == 1:
        return f"weight_{way}_{product.name}_l0"
    delays = sum(one.name == read.name for one in alike) > 1
    which = f"{'' if of_input else read.name}{read.delay or '' if delays else ''}"
    return f"weight_{way}_{product.name}{which and '_' + which}_l0"


def delayed(frames: Tensor, delay: int) -> Tensor:
    """Frames (time, ...) as they were `delay` frames ago, zeros before the first."""
    if not delay:
        return frames
    before = frames.new_zeros(min(delay, len(frames)), *frames.shape[1:])
    return torch.cat([before, frames[: max(0, len(frames) - delay)]])


def cell_of(module: nn.Module) -> Cell:
    """The description of a layer; UserError for a module that has none."""
    if isinstance(found := getattr(module, "cell", None), Cell):
        return found
    match module:
        case nn.LSTM():
            return lstm(False, bool(module.proj_size))
        case nn.GRU():
            return GRU_AFTER
        case nn.Linear():
            return LINEAR
        case _:
            raise UserError(f"{type(module).__name__} has no description of products and steps")


def parameters(module: nn.Module, suffix: str = "_l0") -> Parameters:
    """Of a module's layer and direction, which `suffix` names as torch does: "_l1_reverse"."""
    cell = cell_of(module)
    if isinstance(module, nn.Linear):
        weight = Weight(module, "weight", 1, 0, 1)
        rows, biases = {"product": module.out_features}, {"product": module.bias}
        return Parameters(cell, rows, {("product", X): weight}, biases, {})
    if not hasattr(module, f"weight_hh{suffix}"):
        return _by_product(cell, module, suffix)
    return (_lstm if cell.products[0].gates == 4 else _gru)(cell, module, suffix)


def _by_product(cell: Cell, module: Any, suffix: str) -> Parameters:
    """Of a `DescribedCell`, which names parameters by products."""
    rows = {product.name: module.hidden_size for product in cell.products}
    weights = {
        (p.name, str(read)): Weight(module, weight_name(p, read), p.gates, 0, p.gates)
        for p in cell.products
        for read in p.reads
    }
    biases = {p.name: getattr(module, f"bias_{p.name}{suffix}") for p in cell.products if p.bias}
    vectors = {name: getattr(module, f"{name}{suffix}") for name in cell.vectors}
    return Parameters(cell, rows, weights, biases, vectors)


def _lstm(cell: Cell, module: Any, suffix: str) -> Parameters:
    rows = {"gates": module.hidden_size}
    weights = {
        ("gates", X): Weight(module, f"weight_ih{suffix}", 4, 0, 4),
        ("gates", H): Weight(module, f"weight_hh{suffix}", 4, 0, 4),
    }
    if module.proj_size:
        rows["projection"] = module.proj_size
        weights["projection", "m"] = Weight(module, f"weight_hr{suffix}", 1, 0, 1)
    into, back = (getattr(module, f"bias_{side}{suffix}", None) for side in ("ih", "hh"))
    biases = {} if into is None or back is None else {"gates": into + back}
    looks = getattr(module, f"peephole{suffix}") if cell.vectors else ()
    return Parameters(cell, rows, weights, biases, dict(zip(cell.vectors, looks, strict=True)))


def _gru(cell: Cell, module: Any, suffix: str) -> Parameters:
    names = [product.name for product in cell.products]  # the input's candidate is the second
    weights = {
        ("gates", X): Weight(module, f"weight_ih{suffix}", 3, 0, 2),
        ("gates", H): Weight(module, f"weight_hh{suffix}", 3, 0, 2),
        (names[1], X): Weight(module, f"weight_ih{suffix}", 3, 2, 3),
        (names[-1], str(cell.products[-1].reads[-1])): Weight(
            module, f"weight_hh{suffix}", 3, 2, 3
        ),
    }
    rows = {name: module.hidden_size for name in names}
    biases: dict[str, Tensor] = {}
    into, back = (getattr(module, f"bias_{side}{suffix}", None) for side in ("ih", "hh"))
    if into is not None and back is not None:
        n = 2 * module.hidden_size
        biases["gates"] = into[:n] + back[:n]
        apart = {names[1]: into[n:], names[-1]: back[n:]}
        biases |= apart if len(apart) == 2 else {names[-1]: into[n:] + back[n:]}
    return Parameters(cell, rows, weights, biases, {})
