"""Where spectra lie: words of k spectrum numbers in `Design.splits` banks.

Every signal that a product reads has a region for each stream.  Word w of a signal lies at place
w + `shift(signal)` of its region, which goes through the banks in turns.  Signals of as many copies
lie in one *ring*: a stream's frame n is written to copy n mod `copies` of its region, so that a
product may still read those of frames before.  Behind the rings lie spectra of initial values,
which are never written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Product, Signal
from ernn.scheduling.initial import Initial
from ernn.scheduling.lines import Lines, address_bits, next_power, placed
from ernn.scheduling.weight_banks import Column, Rows, columns_of_groups

Array = np.ndarray


@dataclass(frozen=True)
class Ring:
    """Copies of some signals' regions, `words` apart in every bank, the first at `base`.

    Both numbers of copies and words are powers of two, and `base` is a multiple of all words
    together: copy c of place p is at p | c * words.
    """

    copies: int
    base: int
    words: int

    @property
    def end(self) -> int:
        return self.base + self.copies * self.words


@dataclass(frozen=True, eq=False)
class SpectraMap:
    """Places of one model's spectra on one design; `products`: all that read them."""

    begins: Initial
    cut: Lines
    products: tuple[Product, ...]

    @property
    def model(self) -> IntegerModel:
        return self.begins.model

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that have a spectrum."""
        read = {operand.signal for product in self.products for operand in product.operands}
        return tuple(signal for signal in self.model.signals if signal.name in read)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(signal.name for signal in self.signals)

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """Of how many blocks the words of signals consist, the fewest first."""
        return tuple(sorted({self.model.parts[name] for name in self.names}))

    # --- banks

    @property
    def splits(self) -> int:
        return self.cut.design.splits

    @property
    def turns(self) -> int:
        """Lines that fill the banks once: a line's words lie in `words` of them."""
        return self.splits // self.cut.design.words

    def shift(self, signal: str) -> int:
        """Where a signal's first word lies among the banks; results of the vector unit always begin
        in the first.
        """
        return self._input_shift if signal == self.model.input.name else 0

    @cached_property
    def _input_shift(self) -> int:
        """The shift of the input with which passes are shortest: it fills the banks that others
        leave emptier.
        """
        return min(range(self.splits), key=self._array_cycles)

    def _array_cycles(self, shift: int) -> int:
        cycles = 0
        for product in self.products:
            rows = Rows(product, self.model.block, self.cut.design.words).count
            longest = max(len(columns) for columns in self._columns(product, shift))
            cycles += ceil(rows / self.cut.design.pes) * longest
        return cycles

    def columns(self, product: Product) -> tuple[tuple[Column, ...], ...]:
        """Block columns that each group multiplies: those whose words lie in its bank."""
        return self._columns(product, self._input_shift)

    def _columns(self, product: Product, shift: int) -> tuple[tuple[Column, ...], ...]:
        banks = {operand.signal: 0 for operand in product.operands} | {self.model.input.name: shift}
        return columns_of_groups(product, banks, self.splits)

    # --- places

    def _words(self, signal: Signal) -> int:
        """Words that a signal takes in every bank."""
        used = self.cut.lines(signal.length) * self.cut.design.words + self.shift(signal.name)
        return ceil(used / self.splits)

    def copies(self, signal: str) -> int:
        """How many of a signal's frames there is room for: a power of two, at least two.

        Of a result, this frame's and those that are still read; of the input one more, as the next
        frame comes in while this one is worked on.
        """
        delays = (
            o.delay for product in self.products for o in product.operands if o.signal == signal
        )
        arriving = int(signal == self.model.input.name)
        return max(2, next_power(max(delays) + 1 + arriving))

    @cached_property
    def _rings(self) -> tuple[tuple[Ring, dict[str, int]], ...]:
        """Rings, the largest first, and where each of their signals begins."""
        made: list[tuple[int, int, Sequence[Signal]]] = []
        for copies in {self.copies(name) for name in self.names}:
            mine = [signal for signal in self.signals if self.copies(signal.name) == copies]
            words = sum(self._words(signal) for signal in mine) * self.cut.design.streams
            made.append((copies, 1 << address_bits(words), mine))
        rings, base = [], 0
        for copies, words, mine in sorted(made, key=lambda one: (-one[0] * one[1], one[0])):
            sizes = ((s.name, self._words(s) * self.cut.design.streams) for s in mine)
            rings.append((Ring(copies, base, words), placed(sizes, base)[0]))
            base += copies * words
        return tuple(rings)

    @property
    def rings(self) -> tuple[Ring, ...]:
        return tuple(ring for ring, _ in self._rings)

    @cached_property
    def ring_of(self) -> dict[str, int]:
        """Number of each signal's ring."""
        return {name: number for number, (_, bases) in enumerate(self._rings) for name in bases}

    @cached_property
    def _bases(self) -> dict[str, int]:
        return {name: base for _, bases in self._rings for name, base in bases.items()}

    def place(self, signal: str, stream: int) -> int:
        """First place of a signal's region in every bank, in the ring's first copy."""
        return self._bases[signal] + stream * self._words(self.model.signal(signal))

    @cached_property
    def places(self) -> int:
        """Places up to the last one that is used in a first copy."""
        last = max(self.signals, key=lambda signal: self._bases[signal.name])
        return self.place(last.name, self.cut.design.streams)

    # --- initial values

    @cached_property
    def _initial(self) -> tuple[dict[str, int], int]:
        sizes = (
            (name, self._words(self.model.signal(signal)))
            for name, signal in self.begins.signals.items()
        )
        return placed(sizes, self.rings[-1].end)

    def initial(self, name: str) -> int:
        """First place of the spectrum of initial values."""
        return self._initial[0][name]

    @property
    def depth(self) -> int:
        """Words of a bank."""
        return self._initial[1]

    def contents(self, bank: int) -> Array:
        """Words (depth, k) that a bank begins with; no rows where all are zero."""
        bases, depth = self._initial
        words = np.zeros((depth if bases else 0, self.model.block), np.int64)
        for name, base in bases.items():
            shift = self.shift(self.begins.signals[name])
            for place, word in enumerate(self.begins.spectrum(name), shift):
                if place % self.splits == bank:
                    words[base + place // self.splits] = word
        return words
