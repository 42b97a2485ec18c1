"""A network in terms of what the engine multiplies: factors become products of products.

A matrix W = A B is two products with a signal between them, of as many values as the rank.  B is a
product of its own, a stage before; its results are rounded and transformed as any signal's, and the
product that had W has A.  W = A B C is three products with two signals, and so on.  Gates that
share B share its product, as far as they multiply the same vector: of a GRU that resets before, h
and r*h do not.

Matrices of several block sizes, which were summed in one product, are summed in one for each size,
and steps add what these give.
"""

from dataclasses import dataclass, field, replace

from ernn.ir.cell import CellProduct, CellStage, CellStep, Read
from ernn.ir.network import Array, Factored, Layer, Matrix, Network
from ernn.ir.structure import block_size
from ernn.quantization.block_sizes import read_in_one_size
from ernn.quantization.parts import grouped, in_sums, split
from ernn.quantization.unsigned import without_signs


def lowered(network: Network) -> Network:
    """The network that is quantized: signs as steps, structures as the engine takes them, factors
    as products.
    """
    network = without_signs(network)
    lowered_layers = tuple(_lowered(layer) for layer in network.layers)
    return read_in_one_size(replace(network, layers=lowered_layers))


def _lowered(layer: Layer) -> Layer:
    weights = tuple(tuple(_taken(matrix) for matrix in matrices) for matrices in layer.weights)
    layer = _in_sums(replace(layer, weights=weights))
    factored = any(isinstance(matrix, Factored) for matrix in layer.matrices)
    return _Rewritten(layer).layer() if factored else layer


def _in_sums(layer: Layer) -> Layer:
    """With products whose matrices have one block size; of factors the left one's counts."""
    for product, matrices in zip(layer.cell.products, layer.weights, strict=True):
        groups = grouped(product, [block_size(_left(one).structure) for one in matrices])
        if len(groups) > 1:
            layer = split(layer, product, in_sums(layer.cell, product, groups))
    return layer


def _left(matrix: Matrix) -> Matrix:
    return matrix.factors[0] if isinstance(matrix, Factored) else matrix


def _taken(matrix: Matrix) -> Matrix:
    """A matrix with the structure that the engine takes it for, or with its factors."""
    return replace(matrix.factored(), structure=matrix.structure.taken())


_Downs = dict[tuple[int, int], list[tuple[CellProduct, Matrix]]]
"""Factors to be multiplied before, by how many come before them and by their rows."""


@dataclass(eq=False)
class _Rewritten:
    """One layer, rewritten stage by stage."""

    source: Layer
    stages: list[CellStage] = field(default_factory=list)
    weights: list[tuple[Matrix, ...]] = field(default_factory=list)
    biases: list[Array | None] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)  # gates that are products of their own
    # names of the results of a vector's factors, by the vector and the factors
    taken: dict[tuple[str | int, ...], tuple[str, ...]] = field(default_factory=dict)

    def layer(self) -> Layer:
        at = 0
        for stage in self.source.cell.stages:
            until = at + len(stage.products)
            self._stage(stage, self.source.weights[at:until], self.source.biases[at:until])
            at = until
        cell = self.source.cell
        made = replace(cell, title=f"{cell.title} with factors", stages=tuple(self.stages))
        return replace(
            self.source, cell=made, weights=tuple(self.weights), biases=tuple(self.biases)
        )

    def _stage(
        self,
        stage: CellStage,
        weights: tuple[tuple[Matrix, ...], ...],
        biases: tuple[Array | None, ...],
    ) -> None:
        first: _Downs = {}
        then: list[tuple[CellProduct, tuple[Matrix, ...], Array | None]] = []
        for product, matrices, bias in zip(stage.products, weights, biases, strict=True):
            then += self._joined(product, self._split(product, matrices, first), bias)
        for place in sorted(first):
            self._factors(first[place])
        self.stages.append(
            CellStage(tuple(p for p, _, _ in then), tuple(self._step(step) for step in stage.steps))
        )
        self.weights += [matrices for _, matrices, _ in then]
        self.biases += [bias for _, _, bias in then]

    def _factors(self, downs: list[tuple[CellProduct, Matrix]]) -> None:
        """A stage of factors, each of its results a signal."""
        steps = tuple(
            CellStep(f"{product.name}_{gate}", f"{product.name}.{gate}")
            for product, _ in downs
            for gate in range(product.gates)
        )
        self.stages.append(CellStage(tuple(product for product, _ in downs), steps))
        self.weights += [(matrix,) for _, matrix in downs]
        self.biases += [None] * len(downs)

    def _split(
        self, product: CellProduct, matrices: tuple[Matrix, ...], downs: "_Downs"
    ) -> list[tuple[tuple[Read, ...], Matrix]]:
        """For each operand what is read now, one name or one a gate, and the left factor.

        The other factors go to `downs`.
        """
        ups = []
        for read, matrix in zip(product.reads, matrices, strict=True):
            names: tuple[Read, ...] = (read,)
            key: tuple[str | int, ...] = (str(read),)
            left, *others = matrix.factors if isinstance(matrix, Factored) else (matrix,)
            for level, factor in enumerate(reversed(others)):
                key = (*key, id(factor.value))
                if key not in self.taken:
                    stage = downs.setdefault(
                        (level, factor.rows), []
                    )  # the steps of a stage have one length
                    name = f"{product.name}_{read.name}{read.delay or ''}" + (
                        f"_then{level}" if level else ""
                    )
                    self.taken[key] = self._down(name, names, factor, stage)
                names = tuple(Read(name) for name in self.taken[key])
            ups.append((names, left))
        return ups

    def _down(
        self,
        name: str,
        reads: tuple[Read, ...],
        factor: Matrix,
        stage: list[tuple[CellProduct, Matrix]],
    ) -> tuple[str, ...]:
        """Adds a factor's products to a stage, one a vector that it reads; the results' names."""
        gates = len(factor.value)
        if len(reads) == 1:
            stage.append((CellProduct(name, gates, reads, bias=False), factor))
            return tuple(f"{name}_{gate}" for gate in range(gates))
        for gate, read in enumerate(reads):
            one = gate % gates
            stage.append(
                (CellProduct(f"{name}_{gate}", 1, (read,), bias=False), factor.part(one, one + 1))
            )
        return tuple(f"{name}_{gate}_0" for gate in range(len(reads)))

    def _joined(
        self, product: CellProduct, ups: list[tuple[tuple[Read, ...], Matrix]], bias: Array | None
    ) -> list[tuple[CellProduct, tuple[Matrix, ...], Array | None]]:
        """The product with left factors; a product a gate where gates read vectors of their own."""
        if all(len(names) == 1 for names, _ in ups):
            reads = tuple(names[0] for names, _ in ups)
            return [(replace(product, reads=reads), tuple(matrix for _, matrix in ups), bias)]
        made = []
        for gate in range(product.gates):
            name = f"{product.name}{gate}"
            self.renamed[f"{product.name}.{gate}"] = f"{name}.0"
            reads = tuple(names[gate % len(names)] for names, _ in ups)
            parts = tuple(matrix.part(gate, gate + 1) for _, matrix in ups)
            part = None if bias is None else bias[gate : gate + 1]
            made.append((CellProduct(name, 1, reads, product.bias), parts, part))
        return made

    def _step(self, step: CellStep) -> CellStep:
        terms = []
        for term in step.terms:
            factors = "*".join(self.renamed.get(str(read), str(read)) for read in term.factors)
            terms.append(f"{'-' if term.negative else '+'} {factors}")
        return replace(step, sum=" ".join(terms).removeprefix("+ "))
