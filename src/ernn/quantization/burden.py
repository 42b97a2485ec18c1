"""What a signal's range costs the other operands of products that read it.

The operands of a product share its fraction bits (`ernn.quantization.scales`), so a signal that is
given twice the range takes a bit from the others.  Where they have few, clipping it loses less.
"""

from collections.abc import Callable, Iterator

import numpy as np

from ernn.ir.edges import edge_name
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.network import Matrix, Network, Source
from ernn.ir.structure import Dense
from ernn.quantization.drafts import Drafts, largest
from ernn.quantization.scales import fit


def burden(drafts: Drafts, network: Network, source: Source) -> Callable[[FixedFormat], float]:
    """Of a format of the signal, the mean square of the rounding of other operands that it brings,
    as if it were the signal's own; nothing in blocks, whose spectra are of other sizes.
    """
    found = list(_neighbours(network, source))

    def of(format: FixedFormat) -> float:
        return sum(_noise(drafts, format, *one) for one in found)

    return of


def _neighbours(network: Network, source: Source) -> Iterator[tuple[Matrix, Source, Matrix]]:
    """What reads the signal, and each other operand of the same product."""
    for index, layer in enumerate(network.layers):
        names = dict(network.names(index))
        for product, matrices in zip(layer.cell.products, layer.weights, strict=True):
            if not all(isinstance(one.structure, Dense) for one in matrices):
                continue
            operands = list(
                zip((names[read.name] for read in product.reads), matrices, strict=True)
            )
            for own in (matrix for of, matrix in operands if of == source):
                yield from ((own, of, matrix) for of, matrix in operands if of != source)


def _noise(
    drafts: Drafts, format: FixedFormat, own: Matrix, source: Source, other: Matrix
) -> float:
    width = drafts.spec.data_bits
    edge = edge_name(source)
    signal = fit(drafts.range(edge).spectrum * drafts.spec.headroom, width).frac
    (weights, zeros), (reading, spare) = (_weights(drafts, one) for one in (other, own))
    lost = max(0, signal + weights + zeros - fit(format.reach, width).frac - reading - spare)
    spared = min(lost, max(0, width - drafts.widest))
    rows = np.square(other.value).sum(2).mean() * 4.0 ** (spared - signal)
    size = float(np.square(drafts.seen.samples.get(edge, np.zeros(1))).mean())
    columns = other.columns * size * 4.0 ** (max(0, lost - spared - zeros) - weights)
    return float(rows + columns) / 12 / max(1e-30, float(np.square(own.value).sum(2).mean()))


def _weights(drafts: Drafts, matrix: Matrix) -> tuple[int, int]:
    """Fraction bits of a matrix's weights, and how many zeros may follow them."""
    bits = drafts.spec.weight_width(matrix.name)
    return fit(largest(matrix.value), bits).frac, drafts.widest - bits
