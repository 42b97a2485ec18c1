"""Weights to memory words and back: what each processing element's bank holds.

A product's rows are taken line by line (a *line* is `Design.words` words side by side), gate by
gate, so that all gates of a line finish together: row (line, gate, word) of a product in blocks as
long as a word, row (line, gate, part, word) where several fill one.  A pass gives the next rows to
the elements of every group, one row each; row i leaves on bus i mod `words`.  The groups share a
pass's block columns: group g takes those whose words lie in bank g of the spectra, in order, and
zeros where it has fewer than the others.  A bank holds, pass after pass, one word of k weights a
column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, zip_longest
from math import ceil, inf

import numpy as np

from ernn.ir.integer_parts import MOST_BITS, Product

Column = tuple[int, int]  # operand, block column
Columns = tuple[tuple[Column, ...], ...]  # of each group
Key = tuple[str, int, str, int]
"""What an operand reads: signal, delay, initial values, how often the product reads it before."""

SHAPES = ((512, 36), (1024, 18), (2048, 9))
"""Words that a block RAM of 18 kbit holds, and their bits."""
DEPTH = 1 << 11
"""A bank is cut into memories of so many words: where a block RAM is narrowest, yet whole."""
TAIL = 192  # so many words beyond them would take a row of block RAMs for themselves
WIDE = 64  # bits of a word from which on cutting a memory in two takes an eighth more at most
CHECKED = (
    16  # bits of a word whose parity is taken between two registers: two levels of look-up tables
)


def in_memories(words: int, bits: int) -> list[int]:
    """How deep the memories are that hold words of a bank whole; those left over are the tail.

    Half as many words as a memory holds and up to half of that again would be three rows of block
    RAMs at their widest, and a choice among them before any register: they are cut in two, where
    words are wide or that takes no more.
    """
    whole, rest = divmod(words, DEPTH)
    depths, half = [DEPTH] * whole, DEPTH // 2
    if whole and rest <= TAIL:
        return depths
    if (bits >= WIDE or _cut_free(bits)) and half < rest <= half + half // 2:
        return [*depths, half, rest - half]
    return [*depths, rest]


def _cut_free(bits: int) -> bool:
    """Whether a row of block RAMs of half a memory's words and one of a quarter's are no more than
    three of a quarter's, which are fewer than one of all."""
    quarter, half, whole = (ceil(bits / width) for _, width in SHAPES)
    return half + quarter <= ceil(3 * bits / SHAPES[0][1]) < whole


@dataclass(frozen=True, eq=False)
class Rows:
    """The order in which a product's rows are computed; `side`: words side by side; `late`: gates
    that come after all lines of the others; `begins`: names of the operands' initial values
    (`ernn.scheduling.initial`), empty where they are zero."""

    product: Product
    block: int
    side: int = 1
    late: tuple[int, ...] = ()
    begins: tuple[str, ...] = ()

    @cached_property
    def lines(self) -> int:
        return ceil(self.product.length / (self.block * self.side))

    @property
    def parts(self) -> int:
        """Rows a word of one gate takes."""
        return self.block // self.product.kept

    @property
    def count(self) -> int:
        """Rows computed; rows past the last real one are left out where they are the last."""
        missing = 0
        if self.product.gates == 1:
            last = self.product.length - (self.lines - 1) * self.block * self.side
            missing = self.parts - ceil(min(self.block, last) / self.product.kept)
        return (self.lines * self.product.gates * self.parts - missing) * self.side

    def locate(self, index: int) -> tuple[int, int]:
        """(gate, block row of the matrix) of the row computed `index`-th; the block row may not
        exist (padding).
        """
        rest, word = divmod(index, self.side)
        place, part = divmod(rest, self.parts)
        gates = self.early
        if place >= self.lines * len(gates):
            place, gates = place - self.lines * len(gates), self.late
        line, number = divmod(place, len(gates))
        return gates[number], (line * self.side + word) * self.parts + part

    @cached_property
    def early(self) -> tuple[int, ...]:
        """Gates that are not late."""
        return tuple(gate for gate in range(self.product.gates) if gate not in self.late)

    def place(self, gate: int) -> tuple[int, int]:
        """(place of a gate's first line among the product's lines in the order they are computed,
        distance of its lines)."""
        if gate in self.late:
            return self.lines * len(self.early) + self.late.index(gate), len(self.late)
        return self.early.index(gate), len(self.early)

    def weights(self, index: int) -> dict[Key, np.ndarray]:
        """Weights (block columns, k) of one row by what they are multiplied with; zeros for a row
        that does not exist.
        """
        gate, row = self.locate(index)
        return {
            key: operand.matrix.weights[gate, row]
            if row < operand.matrix.block_rows
            else np.zeros(operand.matrix.weights.shape[2:], np.int64)
            for key, operand in zip(self.keys, self.product.operands, strict=True)
        }

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """What each operand reads."""
        begins = self.begins or ("",) * len(self.product.operands)
        found: list[Key] = []
        for operand, name in zip(self.product.operands, begins, strict=True):
            read = operand.signal, operand.delay, name
            found.append((*read, sum(key[:3] == read for key in found)))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Part:
    """`count` rows of a product from row `first` on."""

    rows: Rows
    first: int
    count: int

    @property
    def product(self) -> Product:
        return self.rows.product

    @property
    def progress(self) -> float:
        """Share of the product's early or late rows done after these, late ones beyond 1."""
        early = self.rows.lines * len(self.rows.early) * self.rows.parts * self.rows.side
        done = self.first + self.count
        if done <= early:
            return done / early
        return 1 + (done - early) / max(1, self.rows.count - early)


@dataclass(frozen=True, eq=False)
class Pass:
    """Rows side by side on the elements: those of the first part, then of the second, which reads
    nothing else.

    `columns`: what each group multiplies; `weights`: addresses of the columns' weights, the same in
    every bank.  A pass may be several one after the other, with a `number` each: all but the last
    one `keep` their sums in a place of every element, from where the next `resumes`; the first may
    be made in the round `before`.
    """

    parts: tuple[Part, ...]
    columns: Columns
    weights: tuple[int, ...] = ()
    number: int = 0
    before: bool = False
    keeps: int | None = None
    resumes: int | None = None

    @property
    def product(self) -> Product:
        return self.parts[0].product

    @property
    def count(self) -> int:
        return sum(part.count for part in self.parts)

    @property
    def length(self) -> int:
        """Cycles: the columns of the group that has most."""
        return max(len(columns) for columns in self.columns)

    @property
    def progress(self) -> tuple[float, float]:
        """What passes begin with comes before what others end with."""
        begun = inf if self.keeps is None else self.number
        return begun, min(part.progress for part in self.parts)

    @property
    def late(self) -> bool:
        """Whether all its rows are of late gates."""
        return min(part.progress for part in self.parts) > 1

    @property
    def leaving(self) -> tuple[Part, ...]:
        """Parts whose results leave when it ends."""
        return self.parts if self.keeps is None else ()

    @property
    def zeros(self) -> list[int]:
        """By column, zeros that its weights end in, in every bank."""
        read, found = self.parts[0].rows.keys, {}
        for part in self.parts:
            for key, operand in zip(part.rows.keys, part.product.operands, strict=True):
                found[key] = min(operand.matrix.zeros, found.get(key, operand.matrix.zeros))
        groups = [[found[read[operand]] for operand, _ in columns] for columns in self.columns]
        return [min(zeros) for zeros in zip_longest(*groups, fillvalue=MOST_BITS)]


def placed_by_zeros(passes: Sequence[Pass]) -> list[Pass]:
    """With addresses of their weights: one pass after the other, and those that end in the fewest
    zeros before all others (`ernn.scheduling.slices`).
    """
    zeros = np.array([zeros for one in passes for zeros in one.zeros], np.int64)
    addresses = np.empty(len(zeros), np.int64)
    addresses[np.argsort(zeros, kind="stable")] = np.arange(len(zeros))
    starts = np.cumsum([0, *(one.length for one in passes)])
    return [
        replace(one, weights=tuple(addresses[first:last].tolist()))
        for one, (first, last) in zip(passes, pairwise(starts), strict=True)
    ]


def columns_of_groups(product: Product, banks: Mapping[str, int], groups: int) -> Columns:
    """The columns of each group; `banks`: where a signal's first word lies."""
    columns: list[list[Column]] = [[] for _ in range(groups)]
    for index, operand in enumerate(product.operands):
        for column in range(operand.matrix.weights.shape[2]):
            columns[(column + banks[operand.signal]) % groups].append((index, column))
    return tuple(tuple(one) for one in columns)


def passes(products: Sequence[tuple[Rows, Columns]], elements: int) -> list[Pass]:
    """Passes of products that can start together, product by product, `elements` rows each.

    Where the last rows of a product leave elements free, the last rows of another go there, if it
    reads nothing that the first does not: their weights for what they do not read are zero.
    """
    made, left = [], []
    for rows, columns in products:
        whole = rows.count // elements * elements
        made += [
            Pass((Part(rows, first, elements),), columns) for first in range(0, whole, elements)
        ]
        if whole < rows.count:
            left.append(Pass((Part(rows, whole, rows.count - whole),), columns))
    left.sort(key=lambda one: -one.length)  # the widest are the hosts
    while left:
        host = left.pop(0)
        for guest in tuple(left):
            if _fits(host, guest, elements):
                host = replace(host, parts=host.parts + guest.parts)
                left.remove(guest)
        made.append(host)
    return made


def in_parts(one: Pass, columns: Sequence[Columns], place: int) -> tuple[Pass, ...]:
    """A pass as several, each of some of its columns in every group; as it is, where one of them
    would have nothing to multiply or the last too few columns for its parts' tags."""
    last = len(columns) - 1
    made = tuple(
        replace(
            one,
            columns=own,
            number=number,
            keeps=place if number < last else None,
            resumes=place if number else None,
        )
        for number, own in enumerate(columns)
    )
    whole = all(part.length for part in made) and made[-1].length >= len(one.parts)
    return made if whole else (one,)


def _fits(host: Pass, guest: Pass, elements: int) -> bool:
    """Whether the guest's rows can ride along; each part takes a column of the pass for its
    tags.
    """
    read, also = (set(one.parts[0].rows.keys) for one in (host, guest))
    return also <= read and host.count + guest.count <= elements and len(host.parts) < host.length


def element_words(passes: Sequence[Pass], group: int, element: int) -> np.ndarray:
    """Words (n, k) of one processing element's bank."""
    words = np.array([word for one in passes for word in _pass_words(one, group, element)])
    return words[np.argsort([address for one in passes for address in one.weights])]


def _pass_words(one: Pass, group: int, element: int) -> Iterator[np.ndarray]:
    block = one.parts[0].rows.block
    weights, read = _row_weights(one, element), one.parts[0].rows.keys
    for operand, column in one.columns[group]:
        own = weights.get(read[operand])
        yield np.zeros(block, np.int64) if own is None else own[column]
    for _ in range(one.length - len(one.columns[group])):
        yield np.zeros(block, np.int64)


def _row_weights(one: Pass, element: int) -> dict[Key, np.ndarray]:
    for part in one.parts:
        if element < part.count:
            return part.rows.weights(part.first + element)
        element -= part.count
    return {}


def pack(words: np.ndarray, width: int) -> list[int]:
    """Rows of signed numbers to unsigned memory words, element 0 in the lowest bits."""
    bits = (words[..., None] >> np.arange(width) & 1).astype(np.uint8)
    rows = bits.reshape(len(words), words.shape[1] * width)
    packed = np.packbits(rows, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def unpack(words: list[int], width: int, lanes: int) -> np.ndarray:
    """The inverse of `pack`."""
    mask, sign = (1 << width) - 1, 1 << (width - 1)
    raw = [[(word >> (width * lane)) & mask for lane in range(lanes)] for word in words]
    return (np.array(raw, np.int64).reshape(len(words), lanes) ^ sign) - sign
