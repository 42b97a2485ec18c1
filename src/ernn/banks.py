"""Weights to memory words and back: what each processing element's bank holds.

A product's rows are taken word by word, gate by gate, so that all gates of a word finish together: row (w, g) of a
block-circulant product, row (w, g, lane) of a dense one.  Pass n gives rows n*P .. n*P+P-1 to the P processing
elements.  A bank holds, pass after pass and operand after operand, one word of k weights a block column.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from ernn.integer_model import Product


@dataclass(frozen=True, eq=False)
class Rows:
    """The order in which a product's rows are computed."""

    product: Product
    block: int

    @property
    def dense(self) -> bool:
        return self.product.kept != self.block

    @property
    def words(self) -> int:
        return ceil(self.product.length / self.block)

    @property
    def lanes(self) -> int:
        """Rows a word of one gate takes."""
        return self.block if self.dense else 1

    @property
    def count(self) -> int:
        """Rows computed; rows past the last real one are left out where they are the last."""
        missing = self.words * self.block - self.product.length if self.dense and self.product.gates == 1 else 0
        return self.words * self.product.gates * self.lanes - missing

    def locate(self, index: int) -> tuple[int, int]:
        """(gate, block row of the matrix) of the row computed `index`-th; the block row may not exist (padding)."""
        word_gate, lane = divmod(index, self.lanes)
        word, gate = divmod(word_gate, self.product.gates)
        return gate, word * self.lanes + lane

    def weights(self, index: int) -> list[np.ndarray]:
        """Weights (block columns, k) of one row, an array an operand; zeros for a row that does not exist."""
        gate, row = self.locate(index)
        return [
            operand.matrix.weights[gate, row]
            if index < self.count and row < operand.matrix.block_rows
            else np.zeros(operand.matrix.weights.shape[2:], np.int64)
            for operand in self.product.operands
        ]


def bank_words(products: tuple[Product, ...], block: int, pes: int, pe: int) -> np.ndarray:
    """Words (n, k) of one processing element's bank."""
    parts = []
    for product in products:
        rows = Rows(product, block)
        for index in range(pe, ceil(rows.count / pes) * pes, pes):
            parts += rows.weights(index)
    return np.concatenate(parts)


def pack(words: np.ndarray, width: int) -> list[int]:
    """Rows of signed numbers to unsigned memory words, element 0 in the lowest bits."""
    mask = (1 << width) - 1
    return [sum((int(value) & mask) << (width * lane) for lane, value in enumerate(word)) for word in words]


def unpack(words: list[int], width: int, lanes: int) -> np.ndarray:
    """The inverse of `pack`."""
    mask, sign = (1 << width) - 1, 1 << (width - 1)
    raw = [[(word >> (width * lane)) & mask for lane in range(lanes)] for word in words]
    return (np.array(raw, np.int64).reshape(len(words), lanes) ^ sign) - sign
