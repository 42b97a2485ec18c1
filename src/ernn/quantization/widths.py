"""How many bits each matrix's weights have.

A matrix goes by the edge of its product and what that reads, `l0.gates.x`; `QuantizeSpec.weights`
names one, a product (`l0.gates`) or a layer (`l0`), and of several that name a matrix the longest
counts.  Names are given before a network is rewritten, so that its parts keep theirs.
"""

from dataclasses import replace

from ernn.errors import UserError
from ernn.ir.edges import edge_name, is_of
from ernn.ir.network import Factored, Layer, Matrix, Network, Source
from ernn.quantization.drafts import QuantizeSpec


def named(network: Network) -> Network:
    """The same network, in which every matrix has its name."""
    layers = (_named(index, layer) for index, layer in enumerate(network.layers))
    return replace(network, layers=tuple(layers))


def _named(index: int, layer: Layer) -> Layer:
    weights = tuple(
        tuple(
            _called(f"{edge_name(Source(index, product.name))}.{read}", matrix)
            for read, matrix in zip(product.reads, matrices, strict=True)
        )
        for product, matrices in zip(layer.cell.products, layer.weights, strict=True)
    )
    return replace(layer, weights=weights)


def _called(name: str, matrix: Matrix) -> Matrix:
    if isinstance(matrix, Factored):
        factors = tuple(replace(factor, name=name) for factor in matrix.factors)
        return replace(matrix, name=name, factors=factors)
    return replace(matrix, name=name)


def names(network: Network) -> tuple[str, ...]:
    """Of the matrices of a `named` network."""
    matrices = (matrix for layer in network.layers for matrix in layer.matrices)
    return tuple(dict.fromkeys(matrix.name for matrix in matrices))


def sizes(network: Network) -> dict[str, int]:
    """Of the matrices of a `named` network, numbers of weights, as many as are stored."""
    found = dict.fromkeys(names(network), 0)
    for layer in network.layers:
        for matrix in layer.matrices:
            found[matrix.name] += matrix.stored
    return found


def widest_weights(network: Network, spec: QuantizeSpec) -> int:
    """Bits of the weights of the widest matrix of a `named` network.

    Raises UserError where `spec.weights` names something else.
    """
    known = names(network)
    for name in spec.weights:
        if not any(is_of(one, name) for one in known):
            raise UserError(
                f"no weights are called {name}: the network has {', '.join(known)}; a name's first "
                "parts stand for all of a layer or a product"
            )
    return max(map(spec.weight_width, known), default=spec.weight_bits)
