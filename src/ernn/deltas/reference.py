"""Temporal sparsity: products are updated only by inputs that have changed (Neil et al., ICML 2017,
"Delta networks").

For every vector v that a product reads, v^ is what the product was last told: where |v - v^| >
threshold, v^ becomes v and the difference goes into the product's sum, column by column; all else
costs nothing.  So W v^ stands where W v would.  With threshold 0 the outputs are the reference's.
In integers: `ernn.deltas.integer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError
from ernn.ir.network import Array, BidirectionalLayer, CellLayer, Network
from ernn.ir.reference import cell_frame
from ernn.ir.usual import as_cell


@dataclass(frozen=True)
class DeltaWork:
    """Columns of all products that changed, and those that there are, each times the rows it is
    multiplied with.
    """

    multiplications: int
    dense: int

    @property
    def share(self) -> float:
        """Of a dense network's multiplications."""
        return self.multiplications / self.dense

    def __add__(self, other: "DeltaWork") -> "DeltaWork":
        return DeltaWork(self.multiplications + other.multiplications, self.dense + other.dense)


def run_deltas(
    network: Network, utterances: Sequence[Array], threshold: float | Sequence[float]
) -> tuple[list[Array], DeltaWork]:
    """Outputs (time, outputs) of each utterance (time, inputs), and what it cost.

    `threshold`: one, or one a layer.  Every product of every layer is updated by deltas, linear
    ones too. Raises UserError for a network with a layer in both directions or with initial states.
    """
    thresholds = (
        [threshold] * len(network.layers) if isinstance(threshold, int | float) else list(threshold)
    )
    if len(thresholds) != len(network.layers) or min(thresholds) < 0:
        raise UserError(
            f"one threshold of at least 0 for each of {len(network.layers)} layers, not {threshold}"
        )
    layers = []
    for layer in network.layers:
        if isinstance(layer, BidirectionalLayer):
            raise UserError("a layer in both directions is not run by deltas: train one way")
        layers.append(as_cell(layer))
    outputs, work = [], DeltaWork(0, 0)
    for frames in utterances:
        for layer, own in zip(layers, thresholds, strict=True):
            frames, more = _layer(layer, frames, own)
            work += more
        outputs.append(frames[-1:] if network.last_step else frames)
    return outputs, work


def _layer(layer: CellLayer, frames: Array, threshold: float) -> tuple[Array, DeltaWork]:
    told: dict[tuple[str, str], Array] = {}
    pairs = zip(layer.cell.products, layer.weights, strict=True)
    rows = {product.name: product.gates * matrices[0].rows for product, matrices in pairs}
    done = [0, 0]

    def look(product: str, read: str, values: Array) -> Array:
        before = told.setdefault((product, read), np.zeros_like(values))
        changed = np.abs(values - before) > threshold
        done[0] += int(changed.sum()) * rows[product]
        done[1] += changed.size * rows[product]
        told[product, read] = np.where(changed, values, before)
        return told[product, read]

    values = {name: np.zeros((1, size)) for name, size in layer.lengths.items()}
    outputs = np.zeros((len(frames), layer.output_size))
    for t, x in enumerate(frames):
        values = cell_frame(layer, x[None], values, look=look)
        outputs[t] = values[layer.cell.output][0]
    return outputs, DeltaWork(*done)
