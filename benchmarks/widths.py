"""Whether more bits ever make integers worse: random networks, every width a bit more.

    python benchmarks/widths.py --json > widths.json

Networks of every cell, dense and in blocks, whose operands are scaled against each other by up to
2**+-8 (what they read by as much the other way, or functions would be steps, whose errors are a
matter of luck) and some of whose cells climb, unit by unit.  Of each the error of the outputs
against the floats is measured, rms over rms, at random widths of weights and data, and with one bit
more for the weights, for all data, and for each kind of data, formats as `ernn quantize` chooses
them (`ernn.golden.least_error`).  A violation: an error more than 10 % larger.  Frames chose no
formats; errors below `FLOOR` are not told apart.
"""

import argparse
import json
import sys
import warnings
from dataclasses import asdict, dataclass, replace

import numpy as np

from ernn.errors import PrecisionWarning
from ernn.golden.least_error import best
from ernn.golden.trials import Trials, some
from ernn.ir import cells
from ernn.ir.activations import FUNCTIONS
from ernn.ir.cell import INPUT, Cell
from ernn.ir.circulant import project
from ernn.ir.edges import DataBits
from ernn.ir.layers import linear
from ernn.ir.network import Layer, Matrix, Network
from ernn.ir.structure import BlockCirculant, Dense, Structure
from ernn.quantization.quantize import QuantizeSpec

CELLS = (
    cells.lstm_cell(),
    cells.lstm_cell(peepholes=True),
    cells.GRU_AFTER,
    cells.GRU_BEFORE,
    cells.CIFG,
    cells.MGU,
    cells.LIGRU,
    cells.SRU,
    cells.QRNN,
    cells.INDRNN,
    cells.RNN,
    cells.MINGRU,
    cells.FASTGRNN,
)
KINDS = ("input", "hidden", "cell", "gates", "activations")
TOLERANCE = 1.1
FLOOR = 1e-3
HIDDEN, INPUTS, OUTPUTS = 16, 8, 6
CHOOSE, HELD_OUT = 2, 16
"""Utterances of 250 frames: the error on one is off by 5 % of that on hundreds, and on two by so
much that of errors that differ by 5 % one in some hundreds seems 10 % larger."""
Array = np.ndarray


@dataclass(frozen=True)
class Violation:
    """Bits that made an error larger."""

    seed: int
    cell: str
    block: int
    before: str
    after: str
    errors: tuple[float, float]

    @property
    def ratio(self) -> float:
        return self.errors[1] / self.errors[0]


def random_network(rng: np.random.Generator) -> tuple[Network, int, float]:
    """A recurrent layer whose operands differ in size, and a dense one over it; the block size, and
    the size of inputs that goes with it.
    """
    block = int(rng.choice([1, 1, 4, 8]))
    structure = Dense() if block == 1 else BlockCirculant(block)
    scale = 2.0 ** rng.integers(-8, 9)
    layer = _layer(rng, CELLS[rng.integers(len(CELLS))], structure, scale)
    out = Matrix(rng.normal(size=(1, OUTPUTS, HIDDEN)) / np.sqrt(HIDDEN))
    return (
        Network((layer, linear(out, rng.normal(size=OUTPUTS) * 0.1))),
        block,
        2.0 ** rng.integers(-2, 3) / scale,
    )


def _layer(rng: np.random.Generator, cell: Cell, structure: Structure, scale: float) -> Layer:
    """Weights that read inputs are `scale` times as large as the others."""

    def matrix(gates: int, name: str) -> Matrix:
        columns = INPUTS if name == INPUT else HIDDEN
        value = project(rng.normal(size=(gates, HIDDEN, columns)), structure)
        value = value / max(1e-9, value.std()) / np.sqrt(columns)
        return Matrix(0.7 * value * (scale if name == INPUT else 1.0), structure)

    weights = tuple(
        tuple(matrix(product.gates, read.name) for read in product.reads)
        for product in cell.products
    )
    biases = tuple(
        rng.normal(size=(product.gates, HIDDEN)) * 0.3 if product.bias else None
        for product in cell.products
    )
    vectors = tuple(rng.normal(size=HIDDEN) * 0.3 for _ in cell.vectors)
    if cell is cells.FASTGRNN:
        vectors = _within_one(vectors)
    return Layer(cell, weights, _open(rng, cell, biases), vectors)


def _within_one(vectors: tuple[Array, ...]) -> tuple[Array, ...]:
    """With zeta and nu of a FastGRNN between 0 and 1, as sigmoids of what is near where training
    starts (Kusupati et al. 2018): else h grows without end, in the floats, too.
    """
    *biases, nu, zeta = vectors
    nu, zeta = (FUNCTIONS["sigmoid"](value) for value in (nu - 4, zeta + 1))
    return *biases, zeta + nu, -zeta


def _open(
    rng: np.random.Generator, cell: Cell, biases: tuple[Array | None, ...]
) -> tuple[Array | None, ...]:
    """In half of all LSTMs, some units keep all that they get: their cells climb."""
    if cell.title != "LSTM" or biases[0] is None or rng.random() < 0.5:
        return biases
    gates = biases[0].copy()
    units = rng.random(HIDDEN) < 0.2
    gates[:2, units], gates[2, units] = 12.0, 2.0
    return gates, *biases[1:]


def frames_for(rng: np.random.Generator, network: Network, scale: float, count: int) -> list[Array]:
    return [rng.normal(size=(250, network.input_size)) * scale for _ in range(count)]


class Errors:
    """Of integers with the least error, formats from some frames, on others."""

    def __init__(self, network: Network, frames: list[Array], others: list[Array]) -> None:
        self.chosen = Trials(network, frames, some(frames))
        self.unseen = Trials(network, frames, others, self.chosen.seen)

    def of(self, spec: QuantizeSpec) -> float:
        return self.unseen.error(best(self.chosen, spec))


def wider(spec: QuantizeSpec) -> dict[str, QuantizeSpec]:
    """The same with a bit more, by what has it."""
    found = {
        "weights": replace(spec, weight_bits=spec.weight_bits + 1),
        "data": replace(spec, data_bits=spec.data_bits + 1),
    }
    for kind, bits in spec.data.given.items():
        if bits < spec.data_bits:
            found[kind] = replace(spec, data=replace(spec.data, **{kind: bits + 1}))
    return found


def random_spec(rng: np.random.Generator) -> QuantizeSpec:
    data = int(rng.integers(8, 18))
    bits = {kind: int(rng.integers(6, data + 1)) for kind in KINDS if rng.random() < 0.3}
    return QuantizeSpec(int(rng.integers(6, 18)), data, data=DataBits(**bits))


def violations(seed: int) -> tuple[int, list[Violation]]:
    """Of one random network: how many errors were compared, and which grew."""
    rng = np.random.default_rng(seed)
    network, block, size = random_network(rng)
    frames, spec = frames_for(rng, network, size, 4), random_spec(rng)
    others = [*frames[CHOOSE:], *frames_for(rng, network, size, HELD_OUT - len(frames) + CHOOSE)]
    errors = Errors(network, frames[:CHOOSE], others)
    before, found = errors.of(spec), list[Violation]()
    widened = wider(spec)
    for name, one in widened.items():
        after = errors.of(one)
        if after > TOLERANCE * max(before, FLOOR):
            title = network.layers[0].cell.title
            found.append(Violation(seed, title, block, f"{spec}", name, (before, after)))
    return len(widened), found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of the first network")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", PrecisionWarning)  # a few inputs lie beyond their format
    compared, found = 0, list[Violation]()
    for seed in range(given.seed, given.seed + given.networks):
        count, new = violations(seed)
        compared, found = compared + count, found + new
        for one in new:
            print(f"seed {one.seed}: {one}", file=sys.stderr, flush=True)
    worst = max((one.ratio for one in found), default=1.0)
    summary = {
        "networks": given.networks,
        "first_seed": given.seed,
        "compared": compared,
        "violations": len(found),
        "worst": worst,
        "kind": "measured",
    }
    if given.json:
        print(json.dumps(summary | {"found": [asdict(one) for one in found]}, indent=2))
    else:
        print(summary)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
