"""States that are made of themselves are cells: kept in all their bits, read by products in fewer.

A GRU's h is z*h@1 + (1 - z)*n.  What its rounding loses stays from frame to frame, as in an LSTM's
cell; what products read of it is used once, as an LSTM's hidden state.  So where hidden states have
fewer bits than cells, h has a cell's, and products read a copy, `h_read`: a step more, a cycle a
line, and nothing in the array.
"""

from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Matrix, Network, Source
from ernn.quantization.signal_forms import Form, in_forms

READ = Form("_read")


def copied(network: Network) -> Network:
    """A network in which products read copies of what is made of itself; before it is `lowered`."""
    cells = enumerate(layer.cell for layer in network.layers)
    kept = {Source(index, name) for index, cell in cells for name in cell.circular}
    found = kept & set(network.multiplied)

    def choice(source: Source, _: Matrix) -> Form | None:
        return READ if source in found else None

    return in_forms(network, {source: [READ] for source in found}, choice) if found else network


def has_copies(model: IntegerModel) -> bool:
    """Whether products of a model read copies."""
    cells = ({step.name for step in layer.cell.steps} for layer in model.layers)
    return any(f"{name}{READ.suffix}" in names for names in cells for name in names)
