"""The survey's methods at one budget: for a network and a share of its bits, the plan
or the smaller network of each.

A budget is on the recurrent layers' weights, with positions, padding and scales, as a share of the
dense ones' at 12 bits a number; every matrix keeps to it by itself.  A method takes the largest
setting that does: nothing else is tuned. Scales of grids may go above it by 1 %, the padding of
blocks of one size for the whole network by 10 %.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd, isqrt
from typing import Literal

from ernn.compress.grids import Binary, Grid, LearnedStep, PowersOfTwo, Ternary, Uniform
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.methods.quantized import Quantized
from ernn.compress.methods.tensor_train import TensorTrain
from ernn.compress.methods.tiles import Tiles
from ernn.compress.methods.tucker import Tucker
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.ir.structure import (
    BLOCK_SIZES,
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Structure,
)
from ernn.nn.spec import Cell, ModelSpec
from ernn.search.cost import Shape, shapes

BITS = 12
"""Bits of a number if its structure does not say."""
SCALES, PADDING = 1.01, 1.1
"""What a method may be above its budget, for scales and for the padding of blocks of one size."""
WIDEST = 4
"""A cell of few weights may have this many times the units of the dense network."""

Family = Literal["compact", "decomposition", "quantization", "sparsity", "block-circulant", "joint"]
Way = Literal["one-shot", "ADMM", "gradual", "direct", "taught", "fresh", "units"]
"""How it is trained: from the dense network (fresh, direct: anew); units: units are removed."""
Candidates = Callable[[tuple[int, int, int]], Iterable[Structure]]
"""Structures for a weight (gates, rows, columns), those that store most first."""


@dataclass(frozen=True)
class Rival:
    """One method. `candidates`: of each recurrent matrix. `cell`: of all layers, None: their own.

    `common`: the same for all matrices, as the engine wants of blocks.
    """

    name: str
    family: Family
    way: Way
    candidates: Candidates | None = None
    cell: Cell | None = None
    common: bool = False


@dataclass(frozen=True)
class Entry:
    """A rival at a budget: the network, its plan, and the bits of its recurrent weights."""

    rival: Rival
    model: ModelSpec
    plan: CompressionPlan
    bits: int


def recurrent_bits(model: ModelSpec, plan: CompressionPlan) -> int:
    """Bits of the recurrent layers' weights, everything counted."""
    return sum(
        plan.structure(one.name, one.role).bits(one.shape, BITS) for one in _recurrent(model)
    )


def entry(rival: Rival, model: ModelSpec, times: float) -> Entry | None:
    """The rival with `times` fewer bits than the dense `model`; None if it cannot be so small."""
    budget = int(recurrent_bits(model, CompressionPlan()) / times)
    if rival.cell is None and rival.candidates is not None:
        return _common(rival, model, budget) if rival.common else _planned(rival, model, times)
    largest = max(layer.hidden for layer in model.layers)
    for hidden in range(WIDEST * largest, 0, -1):
        smaller = _resized(model, hidden / largest, rival.cell)
        plan = CompressionPlan()
        if rival.candidates is not None:
            found = {
                one.name: next(iter(rival.candidates(one.shape))) for one in _recurrent(smaller)
            }
            plan = CompressionPlan(overrides=tuple(found.items()))
        if recurrent_bits(smaller, plan) <= budget:
            return Entry(rival, smaller, plan, recurrent_bits(smaller, plan))
    return None


def _planned(rival: Rival, model: ModelSpec, times: float) -> Entry | None:
    assert rival.candidates is not None
    chosen: list[tuple[str, Structure]] = []
    for one in _recurrent(model):
        limit = SCALES * Dense().bits(one.shape, BITS) / times
        fitting = (s for s in rival.candidates(one.shape) if _bits(s, one.shape) <= limit)
        found = next(fitting, None)
        if found is None:
            return None
        chosen.append((one.name, found))
    plan = CompressionPlan(overrides=tuple(chosen))
    return Entry(rival, model, plan, recurrent_bits(model, plan))


def _common(rival: Rival, model: ModelSpec, budget: int) -> Entry | None:
    """One structure for every matrix; its padding may take all of `PADDING` above the budget."""
    assert rival.candidates is not None
    for structure in rival.candidates((1, 1, 1)):
        plan = CompressionPlan(structure, structure, structure)
        bits = sum(_bits(structure, one.shape) for one in _recurrent(model))
        if bits <= budget * PADDING:
            return Entry(rival, model, plan, recurrent_bits(model, plan))
    return None


def _recurrent(model: ModelSpec) -> Iterator[Shape]:
    return (one for one in shapes(model) if one.role != "output")


def _bits(structure: Structure, shape: tuple[int, int, int]) -> float:
    """Infinite for a structure that does not fit the shape."""
    try:
        return structure.bits(shape, BITS)
    except UserError:
        return float("inf")


def _resized(model: ModelSpec, share: float, cell: Cell | None) -> ModelSpec:
    layers = []
    for layer in model.layers:
        hidden = max(1, round(layer.hidden * share))
        if cell is not None:
            layers.append(type(layer)(cell, hidden, orthogonal=cell == "rnn"))
            continue
        projection = None if layer.projection is None else max(1, round(layer.projection * share))
        hidden = max(hidden, 1 + (projection or 0))
        layers.append(replace(layer, hidden=hidden, projection=projection))
    return replace(model, layers=tuple(layers))


# Candidates


def _shares(step: int = 200) -> Iterator[float]:
    return (n / step for n in range(step, 0, -1))


def _blocks(shape: tuple[int, int, int]) -> Iterator[Structure]:
    return (BlockCirculant(k, pad=True) for k in BLOCK_SIZES if k > 1)


def _signed(shape: tuple[int, int, int]) -> Iterator[Structure]:
    return (Signed(blocks) for blocks in _blocks(shape))


def _ranks(stacked: bool) -> Candidates:
    return lambda shape: (LowRank(r, stacked) for r in range(min(shape[1:]), 0, -1))


def _modes(size: int) -> tuple[int, int]:
    """The two factors nearest to each other."""
    first = next(n for n in range(isqrt(size), 0, -1) if size % n == 0)
    return first, size // first


def _trains(shape: tuple[int, int, int]) -> Iterator[Structure]:
    rows, columns = _modes(shape[1]), _modes(shape[2])[::-1]
    return (TensorTrain(rows, columns, rank) for rank in range(rows[0] * columns[0], 0, -1))


def _tuckers(shape: tuple[int, int, int]) -> Iterator[Structure]:
    pairs = ((round(shape[1] * share), round(shape[2] * share)) for share in _shares(64))
    return (Tucker(max(1, rows), max(1, columns)) for rows, columns in pairs)


def _tiles(rows: int, columns: int) -> Candidates:
    """Tiles of about this size that divide the matrix."""
    return lambda shape: (Tiles(d, gcd(rows, shape[1]), gcd(columns, shape[2])) for d in _shares())


def _banks(shape: tuple[int, int, int]) -> Iterator[Structure]:
    bank = next(n for n in range(16, 0, -1) if shape[2] % n == 0)
    return (BankBalanced(kept / bank, bank) for kept in range(bank, 0, -1))


def _loads(shape: tuple[int, int, int]) -> Iterator[Structure]:
    return (LoadBalanced(d, gcd(16, shape[1])) for d in _shares())


def _pruned(shape: tuple[int, int, int]) -> Iterator[Structure]:
    return (Pruned(d) for d in _shares(400))


def _grids(*grids: Grid) -> Candidates:
    return lambda shape: (Quantized(Dense(), grid) for grid in grids)


def _with(candidates: Candidates, grid: Grid) -> Candidates:
    return lambda shape: (
        Quantized(inner, grid, spectra=isinstance(inner, BlockCirculant))
        for inner in candidates(shape)
    )


def _block_of(k: int) -> Candidates:
    return lambda shape: [BlockCirculant(k, pad=True)]


def _all() -> Iterator[Rival]:
    for way in ("one-shot", "ADMM", "gradual", "direct", "taught"):
        yield Rival(f"block-circulant, {way}", "block-circulant", way, _blocks, common=True)
    for way in ("one-shot", "ADMM", "direct"):
        yield Rival(f"signed blocks, {way}", "block-circulant", way, _signed, common=True)
    yield Rival("low rank", "decomposition", "one-shot", _ranks(False))
    yield Rival("low rank, gates stacked", "decomposition", "one-shot", _ranks(True))
    yield Rival("low rank, ADMM", "decomposition", "ADMM", _ranks(False))
    yield Rival("tensor train", "decomposition", "one-shot", _trains)
    yield Rival("Tucker", "decomposition", "one-shot", _tuckers)
    yield Rival(
        "uniform", "quantization", "one-shot", _grids(*[Uniform(bits) for bits in range(12, 1, -1)])
    )
    yield Rival(
        "uniform, ADMM",
        "quantization",
        "ADMM",
        _grids(*[Uniform(bits) for bits in range(12, 1, -1)]),
    )
    yield Rival(
        "powers of two",
        "quantization",
        "one-shot",
        _grids(*[PowersOfTwo(bits) for bits in range(8, 1, -1)]),
    )
    yield Rival(
        "learned step",
        "quantization",
        "one-shot",
        _grids(*[LearnedStep(bits) for bits in range(8, 1, -1)]),
    )
    yield Rival("ternary", "quantization", "one-shot", _grids(Ternary()))
    yield Rival("binary", "quantization", "one-shot", _grids(Binary()))
    yield Rival("pruned", "sparsity", "one-shot", _pruned)
    yield Rival("pruned, ADMM", "sparsity", "ADMM", _pruned)
    yield Rival("load-balanced (ESE), ADMM", "sparsity", "ADMM", _loads)
    yield Rival("bank-balanced", "sparsity", "one-shot", _banks)
    yield Rival("vectors of 8", "sparsity", "one-shot", _tiles(8, 1))
    yield Rival("tiles of 4 x 4", "sparsity", "one-shot", _tiles(4, 4))
    yield Rival("hidden units removed", "sparsity", "units")
    yield Rival(
        "block-circulant, 6 bits", "joint", "one-shot", _with(_blocks, Uniform(6)), common=True
    )
    yield Rival("low rank, 6 bits", "joint", "one-shot", _with(_ranks(False), Uniform(6)))
    yield Rival("pruned, 4 bits", "joint", "one-shot", _with(_pruned, Uniform(4)))
    yield Rival("minimal gated unit in blocks of 4", "joint", "direct", _block_of(4), "mgu")
    yield Rival("fewer units", "compact", "fresh")
    yield Rival("coupled-gate LSTM", "compact", "fresh", cell="cifg")
    yield Rival("minimal gated unit", "compact", "fresh", cell="mgu")
    yield Rival("light GRU", "compact", "fresh", cell="ligru")
    yield Rival("SRU", "compact", "fresh", cell="sru")
    yield Rival("QRNN", "compact", "fresh", cell="qrnn")
    yield Rival("IndRNN", "compact", "fresh", cell="indrnn")
    yield Rival("orthogonal RNN", "compact", "fresh", cell="rnn")


RIVALS: Mapping[str, Rival] = {rival.name: rival for rival in _all()}
"""Every method by its name."""
