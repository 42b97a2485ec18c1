"""Block sizes of a network's matrices, and what they ask of the signals that they read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ernn.errors import UserError
from ernn.ir.kronecker import Repeated
from ernn.ir.network import Matrix, Network, Source
from ernn.ir.structure import BlockCirculant, Dense, block_size
from ernn.quantization.signal_forms import Form, in_forms, operands, source_of


@dataclass(frozen=True)
class Blocks:
    """largest: the block size of words. sizes: of the blocks in which each signal is read, without
    those that only dense matrices read."""

    largest: int
    sizes: Mapping[Source, int] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network) -> "Blocks":
        """Of a `lowered` network. Raises UserError for structures that no engine multiplies."""
        _require_multiplied(network)
        sizes = {source: size for source, size, _ in reads(network) if size > 1}
        return cls(max(sizes.values(), default=1), sizes)

    def parts(self, source: Source) -> int:
        """`IntegerModel.parts`."""
        return self.largest // self.sizes.get(source, self.largest)


def reads(network: Network) -> Iterator[tuple[Source, int, int]]:
    """Every signal that a matrix reads, the matrix's block size, and the signal's delay."""
    for index, layer in enumerate(network.layers):
        for product, place, matrix in operands(layer):
            read = product.reads[place]
            yield source_of(network, index, read.name), block_size(matrix.structure), read.delay


def read_in_one_size(network: Network) -> Network:
    """The same network, in which matrices of one block size read a signal; those of others read
    copies of it. As it is, it serves the products that read it delayed: so recurrence waits for no
    copy.
    """
    sizes: dict[Source, list[int]] = {}
    for source, size, _ in sorted(reads(network), key=lambda one: not one[2]):
        if size > 1 and size not in sizes.setdefault(source, []):
            sizes[source].append(size)
    forms = {
        source: {size: Form(f"_in{size}") for size in others}
        for source, (_, *others) in sizes.items()
    }

    def choice(source: Source, matrix: Matrix) -> Form | None:
        return forms.get(source, {}).get(block_size(matrix.structure))

    every = {source: list(found.values()) for source, found in forms.items()}
    return in_forms(network, every, choice) if any(every.values()) else network


def _require_multiplied(network: Network) -> None:
    """Nothing skips a weight."""
    structures = [matrix.structure for layer in network.layers for matrix in layer.matrices]
    known = Dense | BlockCirculant | Repeated
    if others := [one for one in structures if not isinstance(one, known)]:
        raise UserError(
            f"the engine runs dense and block-circulant matrices, this network has {others[0]}: "
            "compress it to a block size for hardware; any other network is evaluated and counted "
            "in software only"
        )
    blocks = max(map(block_size, structures), default=1)
    if blocks > 1 and any(isinstance(structure, Repeated) for structure in structures):
        raise UserError(
            f"a tensor train does not go with blocks of {blocks} in one network: leave its "
            "other matrices dense, low rank or tensor trains"
        )
