"""An element's weights: a bank cut into slices and these into memories, a rest in logic, and the
word of an address.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import gcd

import numpy as np
from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Value
from amaranth.lib import memory

from ernn.rtl.arith import delayed, lanes_of, register
from ernn.rtl.rom import Rom
from ernn.scheduling.lines import address_bits
from ernn.scheduling.slices import Slice, sliced
from ernn.scheduling.weight_banks import in_memories

PART_BITS = 6
PART = 1 << PART_BITS  # in parts of so many words, which is a look-up table of one level


@dataclass(frozen=True, eq=False)
class Bank:
    """Memories within a module.

    `contents`: weights (words, numbers); `tail`: of the last words, bits that are in block RAM;
    `apart`: registers between a memory's and what chooses among memories; `block`: all of it in
    block RAM, small as it may be.
    """

    address: Value
    contents: np.ndarray
    slices: tuple[Slice, ...]
    tail: int
    apart: int
    block: bool

    def read(self, m: Module) -> list[Value]:
        """The word of the address in each slice, 3 + `apart` cycles after it."""
        return [self._slice(one).read(m) for one in self.slices]

    def _slice(self, one: Slice) -> "_Words":
        first = self.slices[0]
        words, bits = sliced(self.contents, one, first.high), one.bits(self.contents.shape[1])
        name = "" if one is first else f"low{one.low}_"
        then = self.tail, self.apart, self.block, first.words, name
        return _Words(self.address, words, bits, *then)

    def weights(self, words: list[Value]) -> list[Value]:
        """The weights of a word, from its bits in each slice."""
        lowest = Const(0, self.slices[-1].low)
        parts = [
            lanes_of(word, one.high - one.low, self.contents.shape[1])
            for word, one in zip(words, self.slices, strict=True)
        ]
        return [Cat(lowest, *own[::-1]).as_signed() for own in zip(*parts, strict=True)]


@dataclass(frozen=True, eq=False)
class _Words:
    """A slice: its words, of `bits` bits each, of a bank of `depth`; beyond them it reads zeros."""

    address: Value
    words: Sequence[int]
    bits: int
    tail: int
    apart: int
    block: bool
    depth: int
    name: str

    def read(self, m: Module) -> Value:
        """The memory, its output register, a register apart from it, the right part."""
        depths = in_memories(len(self.words), self.bits)
        starts = list(accumulate(depths, initial=0))
        words = [self._memory(m, *part) for part in enumerate(pairwise(starts))]
        if starts[-1] < len(self.words):
            words.append(self._tail(m, self.words[starts[-1] :]))
        chosen = self._part(m, words, starts[: len(words)])
        if len(self.words) < self.depth:
            there = self.address < len(self.words)
            chosen = Mux(delayed(m, there, 2 + self.apart, f"{self.name}there"), chosen, 0)
        return register(m, chosen, f"{self.name}weights")

    def _part(self, m: Module, words: list[Value], starts: list[int]) -> Value:
        """The word of the memory that the address is in; they begin at `starts`."""
        if len(words) == 1:
            return words[0]
        step = gcd(*starts)
        which = delayed(
            m, self.address[step.bit_length() - 1 :], 2 + self.apart, f"{self.name}part"
        )
        places = range(0, len(self.words), step)
        return Choice(words[bisect_right(starts, place) - 1] for place in places)[which]

    def _memory(self, m: Module, number: int, part: tuple[int, int]) -> Value:
        """Its words 2 + `apart` cycles after the address."""
        init = self.words[slice(*part)]
        m.submodules[f"{self.name}bank{number}"] = bank = Rom(init, self.bits, self.block)
        m.d.comb += bank.address.eq(self.address[: address_bits(len(init))])
        return delayed(m, bank.data, 1 + self.apart, f"{self.name}bank{number}_read")

    def _tail(self, m: Module, words: Sequence[int]) -> Value:
        """The same of the words that would take a whole row of block RAMs for themselves: some bits
        are in memories, the others read from logic.

        Every bit of those needs the whole address, so that in deep pipelines there is a cycle to
        spread it.
        """
        low = min(self.tail, self.bits)
        m.submodules[f"{self.name}tail"] = bank = Rom(
            [word & ((1 << low) - 1) for word in words], low, self.block
        )
        m.d.comb += bank.address.eq(self.address[: address_bits(len(words))])
        read = delayed(m, bank.data, 1 + self.apart, f"{self.name}tail_word")
        high = self.bits - low
        return (
            Cat(read, self._from_logic(m, [word >> low for word in words], high)) if high else read
        )

    def _from_logic(self, m: Module, words: list[int], width: int) -> Value:
        address = delayed(
            m, self.address[: address_bits(len(words))], self.apart, f"{self.name}tail_address"
        )
        parts = []
        for first in range(0, len(words), PART):
            init = words[first : first + PART]
            part = memory.Memory(
                shape=width, depth=len(init), init=init, attrs={"ram_style": "logic"}
            )
            m.submodules[f"{self.name}tail{first // PART}"] = part
            port = part.read_port()
            m.d.comb += port.addr.eq(address[: address_bits(len(init))])
            parts.append(port.data)
        which = (
            register(m, address[PART_BITS:], f"{self.name}tail_part")
            if len(parts) > 1
            else Const(0)
        )
        return register(
            m, Choice(parts)[which] if len(parts) > 1 else parts[0], f"{self.name}tail_read"
        )
