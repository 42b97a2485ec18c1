"""Random networks and integer models, for every test that needs one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ernn.ir.cell import Read
from ernn.ir.cells import ResetGate
from ernn.ir.circulant import project
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product
from ernn.ir.layers import gru, linear, lstm, reading
from ernn.ir.network import NETWORK, Layer, Matrix, Network, Source
from ernn.ir.structure import BlockCirculant, Dense, Structure
from ernn.quantization.quantize import QuantizeSpec, quantize

Array = np.ndarray
DENSE, DEFAULT = Dense(), QuantizeSpec()


def structure_of(block: int, pad: bool = True) -> Structure:
    return Dense() if block == 1 else BlockCirculant(block, pad)


def random_matrix(
    rng: np.random.Generator, gates: int, rows: int, columns: int, structure: Structure
) -> Matrix:
    value = rng.normal(size=(gates, rows, columns))
    projected = project(value, structure)
    return Matrix(projected / max(1e-9, projected.std()) / np.sqrt(columns + 1), structure)


def random_lstm(
    rng: np.random.Generator,
    inputs: int,
    hidden: int,
    structure: Structure = DENSE,
    projection: int = 0,
    peepholes: bool = False,
    states: bool = False,
) -> Layer:
    outputs = projection or hidden
    return lstm(
        random_matrix(rng, 4, hidden, inputs, structure),
        random_matrix(rng, 4, hidden, outputs, structure),
        rng.normal(size=(4, hidden)) * 0.5,
        peephole=rng.normal(size=(3, hidden)) * 0.3 if peepholes else None,
        projection=random_matrix(rng, 1, projection, hidden, structure) if projection else None,
        initial_output=rng.normal(size=outputs) * 0.5 if states else None,
        initial_cell=rng.normal(size=hidden) if states else None,
    )


def random_gru(
    rng: np.random.Generator,
    inputs: int,
    hidden: int,
    structure: Structure = DENSE,
    reset: ResetGate = "after",
    states: bool = False,
) -> Layer:
    return gru(
        random_matrix(rng, 3, hidden, inputs, structure),
        random_matrix(rng, 3, hidden, hidden, structure),
        rng.normal(size=(3, hidden)) * 0.5,
        rng.normal(size=(3, hidden)) * 0.5,
        reset=reset,
        initial_output=rng.normal(size=hidden) * 0.5 if states else None,
    )


def random_linear(
    rng: np.random.Generator, inputs: int, outputs: int, structure: Structure = DENSE
) -> Layer:
    return linear(random_matrix(rng, 1, outputs, inputs, structure), rng.normal(size=outputs))


def random_network(
    rng: np.random.Generator,
    cell: Literal["lstm", "gru"] = "lstm",
    input_size: int = 8,
    hidden: int = 16,
    projection: int = 0,
    peepholes: bool = False,
    reset: ResetGate = "after",
    layers: int = 1,
    outputs: int = 0,
    block: int = 4,
    pad: bool = True,
    states: bool = False,
    bidirectional: bool = False,
    last_step: bool = False,
) -> Network:
    """`layers` recurrent layers in blocks of `block` (1: dense), and a dense linear layer where
    `outputs` > 0.
    """
    structure = structure_of(block, pad)

    def recurrent(width: int) -> Layer:
        if cell == "lstm":
            return random_lstm(rng, width, hidden, structure, projection, peepholes, states)
        return random_gru(rng, width, hidden, structure, reset, states)

    stack, sources, sizes = [], [NETWORK], [input_size]
    for _ in range(layers):
        made = [recurrent(sum(sizes)) for _ in range(1 + bidirectional)]
        made = [reading(layer, sources, sizes) for layer in made]
        sources = [Source(len(stack) + number, "h") for number in range(len(made))]
        sizes = [layer.output_size for layer in made]
        stack += [replace(layer, backward=number == 1) for number, layer in enumerate(made)]
    if outputs:
        last = reading(random_linear(rng, sum(sizes), outputs), sources, sizes)
        return Network((*stack, last), last_step)
    return Network(tuple(stack), last_step, tuple(sources))


def restructured(network: Network, choose: Callable[[Read, Matrix], Structure]) -> Network:
    """All matrices of it projected to the structures that `choose` gives."""

    def projected(read: Read, matrix: Matrix) -> Matrix:
        structure = choose(read, matrix)
        return Matrix(project(matrix.value, structure), structure)

    def changed(layer: Layer) -> Layer:
        pairs = zip(layer.cell.products, layer.weights, strict=True)
        weights = [
            tuple(projected(*one) for one in zip(product.reads, matrices, strict=True))
            for product, matrices in pairs
        ]
        return replace(layer, weights=tuple(weights))

    return replace(network, layers=tuple(changed(layer) for layer in network.layers))


def in_blocks_of(rng: np.random.Generator, network: Network, sizes: Sequence[int]) -> Network:
    """The same with a block size of these for every matrix."""
    return restructured(network, lambda *_: structure_of(int(rng.choice(sizes))))


def random_frames(rng: np.random.Generator, network: Network, frames: int = 20) -> Array:
    """One utterance (frames, inputs), slowly changing as speech features do."""
    steps = rng.normal(size=(frames, network.input_size))
    return np.cumsum(steps, axis=0) / np.sqrt(np.arange(1, frames + 1))[:, None]


def with_exponents(rng: np.random.Generator, model: IntegerModel, most: int = 6) -> IntegerModel:
    """The same weights, meant finer by bits of their own row by row."""

    def finer(product: Product) -> Product:
        shape = product.gates, product.block_rows
        return replace(product, exponents=rng.integers(0, most + 1, shape))

    layers = tuple(
        replace(layer, products=tuple(map(finer, layer.products))) for layer in model.layers
    )
    return replace(model, layers=layers)


def random_integer_model(
    rng: np.random.Generator, spec: QuantizeSpec = DEFAULT, **network: object
) -> IntegerModel:
    """A quantized `random_network(rng, **network)`, calibrated on three random utterances."""
    made = random_network(rng, **network)  # pyright: ignore[reportArgumentType]
    return quantize(made, [random_frames(rng, made) for _ in range(3)], spec)


def growing(rng: np.random.Generator, peepholes: bool) -> tuple[Network, list[np.ndarray]]:
    """An LSTM some of whose cells add up what comes, over a thousand times what others hold."""
    layer = random_lstm(rng, 6, 16, peepholes=peepholes, states=True)
    bias = np.asarray(layer.biases[0]).copy()
    bias[:2, :3] = 14.0  # i and f are open: nothing is forgotten
    bias[2, :3] = 3.0
    frames = [rng.normal(size=(700, 6)) for _ in range(3)]
    vectors = tuple(np.where(np.arange(16) < 3, 0.0, vector) for vector in layer.vectors)
    layer = replace(layer, biases=(bias, *layer.biases[1:]), vectors=vectors)
    return Network((layer, random_linear(rng, 16, 4))), frames


def of_energies(rng: np.random.Generator) -> tuple[Network, list[Array]]:
    """A network that reads energies, whose middle is a thousandth of the largest, and frames."""
    layer = random_lstm(rng, 5, 12)
    (first, *others), *rest = layer.weights
    loud = replace(first, value=first.value * 40)
    network = Network((replace(layer, weights=((loud, *others), *rest)), random_linear(rng, 12, 3)))
    return network, [np.exp(2.5 * rng.normal(size=(60, 5)) - 3) for _ in range(6)]
