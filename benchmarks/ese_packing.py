"""Pruned matrices as ESE keeps and runs them: bits stored, cycles on processing elements.

ESE (Han et al., FPGA 2017) gives row r of a matrix to processing element (PE) r mod pes.  A PE
holds its entries column after column, each a weight and the number of zeros of its own rows that it
skips before it, in `index_bits` bits; where more have to be skipped, a weight of zero is put in
between (padding), stored and multiplied like any other.  Pointers say where each column begins.
benchmarks/accuracy.py counts its ESE rows with this.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ernn.compress.plan import CompressionPlan, matrices
from ernn.errors import UserError
from ernn.ir.structure import LoadBalanced
from ernn.nn.model import AcousticModel

Array = np.ndarray


def ese(model: AcousticModel, plan: CompressionPlan, pes: int, weight_bits: int) -> dict[str, Any]:
    """Bits that ESE stores, by kind, and its cycles; nothing for a plan that is not pruned."""
    found = matrices(model, plan)
    pruned = [m.weight for m in found if isinstance(m.structure, LoadBalanced)]
    packed = [pack(gate.detach().double().numpy(), pes) for weight in pruned for gate in weight]
    if not packed:
        return {}
    bits = sum((storage(one, weight_bits) for one in packed), Storage(0, 0, 0, 0))
    rest = weight_bits * sum(m.stored for m in found if not isinstance(m.structure, LoadBalanced))
    done = work(packed)
    cycles = {**asdict(done), "imbalance": done.imbalance, "utilisation": done.utilisation}
    return {
        "kbit": (bits.entries + rest) / 1024,
        "bits": {**asdict(bits), "unpruned": rest},
        "cycles": cycles,
    }


@dataclass(frozen=True, eq=False)
class Packed:
    """One matrix (rows, columns) in the memories of `pes` processing elements.

    values, gaps: of every entry, element after element, in each column after column; `gaps` counts
    the zeros before an entry, from the column's top or from the entry before.  pointers (pes,
    columns + 1): an element's entries of column c are pointers[pe, c] to pointers[pe, c + 1] - 1,
    counted in the element's own memory.
    """

    rows: int
    columns: int
    index_bits: int
    values: Array
    gaps: Array
    pointers: Array

    @property
    def pes(self) -> int:
        return len(self.pointers)

    @property
    def loads(self) -> Array:
        """Entries of each element, padding counted."""
        return self.pointers[:, -1]

    def places(self) -> tuple[Array, Array]:
        """Row and column of every entry."""
        counts = np.diff(self.pointers, axis=1)
        column = np.concatenate([np.repeat(np.arange(self.columns), count) for count in counts])
        element = np.repeat(np.arange(self.pes), self.loads)
        starts = np.concatenate([[True], (np.diff(column) != 0) | (np.diff(element) != 0)])[
            : len(column)
        ]
        steps = np.cumsum(self.gaps + 1)
        before = (steps - self.gaps - 1)[starts]  # steps taken until each column's top
        local = (
            steps - 1 - np.repeat(before, np.diff(np.append(np.flatnonzero(starts), len(column))))
        )
        return local * self.pes + element, column

    def unpack(self) -> Array:
        """The matrix (rows, columns)."""
        found = np.zeros((self.rows, self.columns))
        np.add.at(found, self.places(), self.values)
        return found

    def product(self, x: Array) -> Array:
        """The matrix times x (columns,), entry by entry as the elements do it."""
        row, column = self.places()
        return np.bincount(row, self.values * x[column], minlength=self.rows)


def pack(matrix: Array, pes: int, index_bits: int = 4) -> Packed:
    """What `pes` processing elements hold of one matrix (rows, columns).

    Raises UserError where they do not divide the rows evenly.
    """
    rows, columns = matrix.shape
    if rows % pes:
        raise UserError(
            f"{pes} processing elements do not divide {rows} rows evenly: choose a divisor of "
            f"{rows}"
        )
    elements = matrix.reshape(rows // pes, pes, columns).transpose(1, 2, 0)
    element, column, local = np.nonzero(elements)
    first = np.concatenate([[True], (np.diff(element) != 0) | (np.diff(column) != 0)])[: len(local)]
    skipped = local - np.where(first, 0, np.roll(local, 1) + 1)
    padding = skipped >> index_bits
    last = np.cumsum(padding + 1) - 1  # where each weight lies among all entries
    values, gaps = (
        np.zeros(len(local) + padding.sum()),
        np.full(len(local) + padding.sum(), (1 << index_bits) - 1),
    )
    values[last], gaps[last] = elements[element, column, local], skipped & ((1 << index_bits) - 1)
    counts = np.zeros((pes, columns), int)
    np.add.at(counts, (element, column), padding + 1)
    pointers = np.pad(np.cumsum(counts, axis=1), [(0, 0), (1, 0)])
    return Packed(rows, columns, index_bits, values, gaps, pointers)


@dataclass(frozen=True)
class Storage:
    """Bits stored: of the weights kept, of the zeros put in between, of the indices of both, of the
    pointers.
    """

    weights: int
    padding: int
    indices: int
    pointers: int

    def __add__(self, other: "Storage") -> "Storage":
        return Storage(
            self.weights + other.weights,
            self.padding + other.padding,
            self.indices + other.indices,
            self.pointers + other.pointers,
        )

    @property
    def entries(self) -> int:
        """Without the pointers: what ESE counts as 16 bits a weight."""
        return self.weights + self.padding + self.indices

    @property
    def total(self) -> int:
        return self.entries + self.pointers


def storage(packed: Packed, weight_bits: int = 12) -> Storage:
    """Bits of one matrix; a pointer has as many as the fullest element needs."""
    kept, all_of_them = int(np.count_nonzero(packed.values)), len(packed.values)
    pointer = int(packed.loads.max(initial=0)).bit_length()
    padding = (all_of_them - kept) * weight_bits
    return Storage(
        kept * weight_bits, padding, all_of_them * packed.index_bits, packed.pointers.size * pointer
    )


@dataclass(frozen=True)
class Work:
    """Cycles of matrix-vector products on processing elements that take one entry a cycle.

    cycles: elements wait for each other at the end of each matrix only (ESE's queues, as if without
    end). lockstep: they wait after each column.  entries: of all elements together, padding
    counted.
    """

    pes: int
    cycles: int
    lockstep: int
    entries: int

    @property
    def imbalance(self) -> float:
        """The slowest element's work over the mean; 1 where all have as much to do."""
        return self.cycles * self.pes / self.entries if self.entries else 1.0

    @property
    def utilisation(self) -> float:
        """Share of all element-cycles that multiply, columns in lockstep."""
        return self.entries / (self.lockstep * self.pes) if self.lockstep else 1.0


def work(matrices: Iterable[Packed]) -> Work:
    """One product with each of the matrices, one after another; all on as many elements."""
    found = list(matrices)
    sizes = {packed.pes for packed in found}
    if len(sizes) != 1:
        raise UserError(
            "cycles are counted for matrices on one number of processing elements, not on "
            f"{sorted(sizes)}"
        )
    cycles = sum(int(packed.loads.max()) for packed in found)
    lockstep = sum(int(np.diff(packed.pointers, axis=1).max(axis=0).sum()) for packed in found)
    return Work(sizes.pop(), cycles, lockstep, sum(len(packed.values) for packed in found))
