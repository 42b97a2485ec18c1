"""An element's weights: a bank cut into memories, a rest in logic, and the word of an address."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import gcd

from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Value
from amaranth.lib import memory

from ernn.rtl.arith import delayed, register
from ernn.rtl.rom import Rom
from ernn.scheduling.lines import address_bits
from ernn.scheduling.weight_banks import in_memories

PART_BITS = 6
PART = 1 << PART_BITS  # in parts of so many words, which is a look-up table of one level


@dataclass(frozen=True, eq=False)
class Bank:
    """Memories within a module.

    `words`: of `bits` bits each; `tail`: of its last words, bits that are in block RAM; `apart`:
    registers between a memory's and what chooses among memories.
    """

    address: Value
    words: Sequence[int]
    bits: int
    tail: int
    apart: int

    def read(self, m: Module) -> Value:
        """The word of the address, 3 + `apart` cycles after it: the memory, its output register, a
        register apart from it, the right part.
        """
        depths = in_memories(len(self.words), self.bits)
        starts = list(accumulate(depths, initial=0))
        words = [self._memory(m, *part) for part in enumerate(pairwise(starts))]
        if starts[-1] < len(self.words):
            words.append(self._tail(m, self.words[starts[-1] :]))
        return register(m, self._part(m, words, starts[: len(words)]), "weights")

    def _part(self, m: Module, words: list[Value], starts: list[int]) -> Value:
        """The word of the memory that the address is in; they begin at `starts`."""
        if len(words) == 1:
            return words[0]
        step = gcd(*starts)
        which = delayed(m, self.address[step.bit_length() - 1 :], 2 + self.apart, "part")
        places = range(0, len(self.words), step)
        return Choice(words[bisect_right(starts, place) - 1] for place in places)[which]

    def _memory(self, m: Module, number: int, part: tuple[int, int]) -> Value:
        """Its words 2 + `apart` cycles after the address."""
        init = self.words[slice(*part)]
        m.submodules[f"bank{number}"] = bank = Rom(init, self.bits)
        m.d.comb += bank.address.eq(self.address[: address_bits(len(init))])
        return delayed(m, bank.data, 1 + self.apart, f"bank{number}_read")

    def _tail(self, m: Module, words: Sequence[int]) -> Value:
        """The same of the words that would take a whole row of block RAMs for themselves: some bits
        are in memories, the others read from logic.

        Every bit of those needs the whole address, so that in deep pipelines there is a cycle to
        spread it.
        """
        low = min(self.tail, self.bits)
        m.submodules.tail = bank = Rom([word & ((1 << low) - 1) for word in words], low)
        m.d.comb += bank.address.eq(self.address[: address_bits(len(words))])
        read = delayed(m, bank.data, 1 + self.apart, "tail_word")
        high = self.bits - low
        return (
            Cat(read, self._from_logic(m, [word >> low for word in words], high)) if high else read
        )

    def _from_logic(self, m: Module, words: list[int], width: int) -> Value:
        address = delayed(m, self.address[: address_bits(len(words))], self.apart, "tail_address")
        parts = []
        for first in range(0, len(words), PART):
            init = words[first : first + PART]
            part = memory.Memory(
                shape=width, depth=len(init), init=init, attrs={"ram_style": "logic"}
            )
            m.submodules[f"tail{first // PART}"] = part
            port = part.read_port()
            m.d.comb += port.addr.eq(address[: address_bits(len(init))])
            parts.append(port.data)
        which = register(m, address[PART_BITS:], "tail_part") if len(parts) > 1 else Const(0)
        return register(m, Choice(parts)[which] if len(parts) > 1 else parts[0], "tail_read")
