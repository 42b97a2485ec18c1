"""Random layers of compact cells, and the same cells as explicit loops, written from their papers'
equations.
"""

from collections.abc import Callable

import numpy as np

from ernn.ir.cell import INPUT, Cell
from ernn.ir.circulant import project
from ernn.ir.network import Layer, Matrix
from ernn.ir.structure import Structure
from tests.models import DENSE

Array = np.ndarray


def random_cell(
    rng: np.random.Generator,
    cell: Cell,
    inputs: int,
    hidden: int,
    structure: Structure = DENSE,
    scale: float = 1.0,
    initial: bool = False,
) -> Layer:
    """`cell` with random weights of `structure`; every step is `hidden` long."""

    def matrix(gates: int, columns: int) -> Matrix:
        value = project(rng.normal(size=(gates, hidden, columns)), structure)
        return Matrix(scale * value / max(1e-9, value.std()) / np.sqrt(columns + 1), structure)

    weights = tuple(
        tuple(
            matrix(product.gates, inputs if read.name == INPUT else hidden)
            for read in product.reads
        )
        for product in cell.products
    )
    biases = tuple(
        rng.normal(size=(p.gates, hidden)) * 0.5 if p.bias else None for p in cell.products
    )
    vectors = tuple(rng.normal(size=hidden) * 0.4 for _ in cell.vectors)
    first = (name for name in cell.remembered if initial)
    return Layer(
        cell,
        weights,
        biases,
        vectors,
        tuple(None if name in cell.inputs else rng.normal(size=hidden) * 0.4 for name in first),
    )


def sigma(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def cifg(layer: Layer, frames: Array) -> list[Array]:
    ((w, u),), (b,) = layer.weights, layer.biases
    h = c = np.zeros(w.rows)
    outputs = []
    for x in frames:
        i, g, o = (w.value[k] @ x + u.value[k] @ h + b[k] for k in range(3))
        i = sigma(i)
        c = (1 - i) * c + i * np.tanh(g)
        h = sigma(o) * np.tanh(c)
        outputs.append(h)
    return outputs


def mgu(layer: Layer, frames: Array) -> list[Array]:
    ((w, u), (wc, uc)), (b, bc) = layer.weights, layer.biases
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        f = sigma(w.value[0] @ x + u.value[0] @ h + b[0])
        candidate = np.tanh(wc.value[0] @ x + uc.value[0] @ (f * h) + bc[0])
        h = (1 - f) * h + f * candidate
        outputs.append(h)
    return outputs


def ligru(layer: Layer, frames: Array) -> list[Array]:
    ((w, u),), (b,) = layer.weights, layer.biases
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        z = sigma(w.value[0] @ x + u.value[0] @ h + b[0])
        candidate = np.maximum(0, w.value[1] @ x + u.value[1] @ h + b[1])
        h = z * h + (1 - z) * candidate
        outputs.append(h)
    return outputs


def sru(layer: Layer, frames: Array) -> list[Array]:
    ((values,), (gates,)), (_, b), (v_f, v_r) = layer.weights, layer.biases, layer.vectors
    c, outputs = np.zeros(values.rows), []
    for x in frames:
        f = sigma(gates.value[0] @ x + v_f * c + b[0])
        r = sigma(gates.value[1] @ x + v_r * c + b[1])
        c = f * c + (1 - f) * (values.value[0] @ x)
        outputs.append(r * c + (1 - r) * (values.value[1] @ x))
    return outputs


def qrnn(layer: Layer, frames: Array) -> list[Array]:
    ((now, before),), (b,) = layer.weights, layer.biases
    c, last, outputs = np.zeros(now.rows), np.zeros(now.columns), []
    for x in frames:
        z, f, o = (now.value[k] @ x + before.value[k] @ last + b[k] for k in range(3))
        c = sigma(f) * c + (1 - sigma(f)) * np.tanh(z)
        outputs.append(sigma(o) * c)
        last = x
    return outputs


def indrnn(layer: Layer, frames: Array) -> list[Array]:
    ((w,),), (b,), (u,) = layer.weights, layer.biases, layer.vectors
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        h = np.maximum(0, w.value[0] @ x + u * h + b[0])
        outputs.append(h)
    return outputs


def rnn(layer: Layer, frames: Array) -> list[Array]:
    ((w, u),), (b,) = layer.weights, layer.biases
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        h = np.tanh(w.value[0] @ x + u.value[0] @ h + b[0])
        outputs.append(h)
    return outputs


def mingru(layer: Layer, frames: Array) -> list[Array]:
    ((w,),), (b,) = layer.weights, layer.biases
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        z = sigma(w.value[0] @ x + b[0])
        h = (1 - z) * h + z * (w.value[1] @ x + b[1])
        outputs.append(h)
    return outputs


def fastgrnn(layer: Layer, frames: Array) -> list[Array]:
    """zeta and nu a unit, as `open` = zeta + nu and `less` = -zeta."""
    ((w, u),), (b_z, b_n, both, less) = layer.weights, layer.vectors
    zeta, nu = -less, both + less
    h, outputs = np.zeros(w.rows), []
    for x in frames:
        shared = w.value[0] @ x + u.value[0] @ h
        z, n = sigma(shared + b_z), np.tanh(shared + b_n)
        h = (zeta * (1 - z) + nu) * n + z * h
        outputs.append(h)
    return outputs


def lru(layer: Layer, frames: Array) -> list[Array]:
    ((into,), (c_re, c_im, direct)), (l_re, l_im) = layer.weights, layer.vectors
    eigenvalues, state, outputs = l_re + 1j * l_im, np.zeros(into.rows, complex), []
    for x in frames:
        state = eigenvalues * state + (into.value[0] + 1j * into.value[1]) @ x
        read = (c_re.value[0] - 1j * c_im.value[0]) @ state  # Re((c_re + i c_im') s), c_im' = -c_im
        outputs.append(read.real + direct.value[0] @ x)
    return outputs


LOOPS: dict[str, Callable[[Layer, Array], list[Array]]] = {
    "cifg": cifg,
    "mgu": mgu,
    "ligru": ligru,
    "sru": sru,
    "qrnn": qrnn,
    "indrnn": indrnn,
    "rnn": rnn,
    "mingru": mingru,
    "fastgrnn": fastgrnn,
    "lru": lru,
}
