"""The multiplier array: a systolic row of processing elements, each one block row at a time.

Operands, addresses and flags pass from element to element: nothing is broadcast.  Complex products
take three multiplications, (a + jb)(c + jd) with m1 = c(a + b), m2 = a(d - c), m3 = b(c + d),
summed apart and combined once a row.  Results leave over a bus of one register an element, the
first element's first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.rtl.arith import delayed, delayed_flag, lanes_of, register
from ernn.rtl.bank import Bank
from ernn.rtl.shared import Sharing, shared_product
from ernn.scheduling.lines import address_bits
from ernn.scheduling.slices import Slice
from ernn.scheduling.timing import Pipeline
from ernn.scheduling.weight_banks import CHECKED

Factors = list[tuple[Value, Value]]  # numbers and weights


class OperandLayout(data.StructLayout):
    """Spectrum word and the sums re + im of its complex bins, where it has any: Verilog knows no
    wire of no bits.
    """

    def __init__(self, block: int, width: int) -> None:
        fields = {"lanes": data.ArrayLayout(signed(width), block)}
        if block > 2:
            fields["sums"] = data.ArrayLayout(signed(width + 1), block // 2 - 1)
        super().__init__(fields)


@dataclass(frozen=True)
class Kind:
    """What all elements of an array have in common.

    `slices`: what a bank of so many elements is cut into; `kept`: sums that an element keeps of
    passes in parts; `sharing`: how two elements share multipliers, if they do.
    """

    slices: Mapping[int, tuple[Slice, ...]]
    block: int
    data_bits: int
    weight_bits: int
    accumulator: int
    pipeline: Pipeline
    tail: int  # bits of a last word in memory
    block_ram: bool  # whether banks are in block RAM, small as they may be
    parity: bool = False
    kept: int = 0
    sharing: Sharing | None = None

    @property
    def products(self) -> int:
        return 1 if self.block == 1 else 2 + 3 * (self.block // 2 - 1)

    @property
    def depth(self) -> int:
        """Words of a bank."""
        return next(iter(self.slices.values()))[0].words

    @property
    def sums(self) -> data.ArrayLayout:
        return data.ArrayLayout(signed(self.accumulator), self.products)

    @property
    def halves(self) -> dict[str, int]:
        """Bits of what comes with operands of passes in parts."""
        return {"keep": 1, "resume": 1, "sum": address_bits(self.kept)} if self.kept else {}

    @property
    def handed(self) -> data.ArrayLayout:
        """Products that an element makes for the next one."""
        return data.ArrayLayout(signed(self.data_bits + self.weight_bits + 1), self.products)

    def weights(self, elements: int) -> data.ArrayLayout:
        """Of so many elements."""
        return data.ArrayLayout(signed(self.weight_bits), elements * self.block)


@dataclass(frozen=True, eq=False)
class Held:
    """What an element holds: weights (words, numbers), none where they lie in another's bank; and
    those of how many elements `behind` it.
    """

    bank: np.ndarray
    behind: int


def held(banks: list[np.ndarray], together: int) -> list[Held]:
    """Of every so many elements the first holds all banks, side by side."""
    found = []
    for first in range(0, len(banks), together):
        own = banks[first : first + together]
        words = [np.concatenate(own, axis=1), *(bank[:0] for bank in own[1:])]
        found += map(Held, words, reversed(range(len(own))))
    return found


class Element(wiring.Component):
    """One processing element.

    `operand` arrives `Pipeline.operand` - 1 cycles after `address`; `clear` and `store` (first and
    last column of a row) come with it; `drain` puts the stored sums on the bus; the `first`
    element's are on it whenever no other's are. Around every multiplier and behind the bank there
    are the registers that hard blocks have within (operands and product; output), and in deep
    pipelines one more, free to be placed apart from the block.  With `parity` a word of the bank
    has a bit more; `next_fault` is high a few cycles after a word that has changed was read, and as
    `fault`.  Where two elements share multipliers, a word of the first one's `bank` holds its own
    weights and behind them the second one's, which has no bank and takes `products`.  Where some
    only have a bank together, the first one's holds all their weights, and every other one takes
    its `weights` and hands on those of the elements behind it: `late` a cycle later, if these are
    not beside it.
    """

    def __init__(self, kind: Kind, holds: Held, first: bool, late: bool) -> None:
        self.kind, self.first, self.late, self.bank = kind, first, late, holds.bank
        self.behind = 0 if kind.sharing else holds.behind
        bank = self.bank
        self.block, self.apart = kind.block, kind.pipeline.array
        self.rows = 2 if kind.sharing and bank.size else 1  # whose weights a word holds
        layout, address = OperandLayout(kind.block, kind.data_bits), address_bits(kind.depth)
        super().__init__(
            {
                "address": In(address),
                "operand": In(layout),
                "clear": In(1),
                "store": In(1),
                "drain": In(1),
                "bus": In(kind.sums),
                "next_address": Out(address),
                "next_operand": Out(layout),
                "next_clear": Out(1),
                "next_store": Out(1),
                "next_drain": Out(1),
                "next_bus": Out(kind.sums),
            }
            | ({"fault": In(1), "next_fault": Out(1)} if kind.parity else {})
            | ({"next_products": Out(kind.handed)} if self.rows > 1 else {})
            | self._given
            | ({"next_weights": Out(kind.weights(self.behind))} if self.behind else {})
            | {name: In(bits) for name, bits in kind.halves.items()}
            | {f"next_{name}": Out(bits) for name, bits in kind.halves.items()}
        )

    @property
    def _given(self) -> dict[str, wiring.Member]:
        """What an element without a bank takes from the one before."""
        if self.bank.size:
            return {}
        if self.kind.sharing:
            return {"products": In(self.kind.handed)}
        return {"weights": In(self.kind.weights(1 + self.behind))}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operand, bus = (
            Signal(self.operand.shape(), reset_less=True),
            Signal(self.bus.shape(), reset_less=True),
        )
        chained = register(m, self.address, "address")
        self._address = chained if self.apart else self.address  # the element's own
        m.d.sync += operand.eq(self.operand)
        m.d.comb += [
            self.next_address.eq(chained),
            self.next_operand.eq(operand),
            self.next_clear.eq(register(m, self.clear, "clear")),
            self.next_store.eq(delayed_flag(m, self.store, 1, "store")),
            self.next_drain.eq(delayed_flag(m, self.drain, 2, "drain")),
            self.next_bus.eq(bus),
        ]
        late = 1 + self.apart + self.kind.pipeline.shared
        clear = delayed_flag(m, self.clear, late, "clear")
        store = delayed_flag(m, self.store, late + 1, "store")
        totals = [
            Signal(self.bus.shape().elem_shape, name=f"acc{index}", reset_less=True)
            for index in range(self.kind.products)
        ]
        begins = self._begins(m, late, totals)
        for index, product in enumerate(self._products(m)):
            total = totals[index]
            kept = Signal.like(total, name=f"hold{index}", reset_less=True)
            m.d.sync += total.eq(Mux(clear, begins[index], total) + product)
            with m.If(store):
                m.d.sync += kept.eq(total)
            m.d.sync += bus[index].eq(
                kept if self.first else Mux(self.drain, kept, self.bus[index])
            )
        return m

    def _begins(self, m: Module, late: int, totals: list[Signal]) -> list[Value]:
        """What sums begin with: zero, or what a pass's first half has kept of them."""
        if not self.kind.kept:
            return [Const(0)] * len(totals)
        names = self.kind.halves
        m.d.comb += [
            getattr(self, f"next_{name}").eq(delayed_flag(m, getattr(self, name), 1, name))
            for name in names
        ]
        shape = sum(map(len, totals))
        sums = memory.Memory(shape=shape, depth=self.kind.kept, init=[])
        m.submodules.sums = sums
        write, read = sums.write_port(), sums.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(delayed(m, self.sum, late + 1, "kept_place")),
            write.data.eq(Cat(totals)),
            write.en.eq(delayed_flag(m, self.keep, late + 1, "kept")),
            read.addr.eq(delayed(m, self.sum, late - 1, "resumed_place")),
        ]
        resume = delayed(m, self.resume, late - 1, "resumed")
        begins = register(m, Mux(resume, read.data, 0), "begins")
        return lanes_of(begins, len(totals[0]), len(totals))

    def _products(self, m: Module) -> list[Value]:
        """A row's products, `Pipeline.product` - 3 cycles after the operand."""
        if self.kind.parity and not self.bank.size:
            m.d.comb += self.next_fault.eq(register(m, self.fault, "fault"))
        if self.kind.sharing and not self.bank.size:
            return [self.products[index] for index in range(self.kind.products)]
        weights = self._weights(m)
        pairs = self._factors(weights[: self.block])
        if self.kind.sharing:
            guests = self._factors(weights[self.block :])
            return self._shared(m, pairs, guests, self.kind.sharing)
        return [
            delayed(m, number * delayed(m, weight, 2, f"w{i}"), 1 + self.apart, f"product{i}")
            for i, (number, weight) in enumerate(pairs)
        ]

    def _weights(self, m: Module) -> list[Value]:
        """Its own, and behind them those of the others that have them from it."""
        if self.bank.size:
            kind, elements = self.kind, self.bank.shape[1] // self.block
            slices = kind.slices[elements]
            bank = Bank(self._address, self.bank, slices, kind.tail, self.apart, kind.block_ram)
            words = bank.read(m)
            if self.kind.parity:
                self._check(m, Cat(words))
            weights = bank.weights(words)
        else:
            weights = [self.weights[i] for i in range((1 + self.behind) * self.block)]
        if self.behind:
            others = Cat(weights[self.block :])
            m.d.comb += self.next_weights.as_value().eq(
                register(m, others, "handed") if self.late else others
            )
        return weights

    def _shared(self, m: Module, pairs: Factors, guests: Factors, sharing: Sharing) -> list[Value]:
        """The element's own products; the next one's are handed on."""
        own = []
        for i, ((number, low), (_, high)) in enumerate(zip(pairs, guests, strict=True)):
            product, other = shared_product(
                m, number, low, high, sharing, self.kind.pipeline, f"product{i}"
            )
            m.d.comb += self.next_products[i].eq(other)
            own.append(product)
        return own

    def _factors(self, weights: list[Value]) -> Factors:
        """The pairs to multiply: data, and weights or their sums two cycles before."""
        lanes = [self.operand.lanes[i] for i in range(self.block)]
        pairs: Factors = list(zip(lanes[:2], weights[:2], strict=True))
        for number, position in enumerate(range(2, self.block, 2)):
            real, imaginary = weights[position], weights[position + 1]
            pairs += [
                (self.operand.sums[number], real),
                (lanes[position], imaginary - real),
                (lanes[position + 1], real + imaginary),
            ]
        return pairs

    def _check(self, m: Module, word: Value) -> None:
        """In two steps, beside the products; then from element to element as everything else."""
        starts = range(0, len(word), CHECKED)
        parts = [
            register(m, word[at : min(at + CHECKED, len(word))].xor(), f"parity{at // CHECKED}")
            for at in starts
        ]
        odd = register(m, Cat(parts).xor(), "odd")
        m.d.comb += self.next_fault.eq(register(m, self.fault | odd, "fault"))


class Array(wiring.Component):
    """The row of elements. Inputs as the first element's; `bus` and `fault` are the last one's,
    `drain` a cycle before. Weights that others hold come from and go to the `elements` by
    themselves, `late` if those of the next row are a place further."""

    def __init__(self, kind: Kind, holds: list[Held], late: bool) -> None:
        self.kind = kind
        self.elements = [Element(kind, one, number == 0, late) for number, one in enumerate(holds)]
        first = self.elements[0]
        super().__init__(
            {
                "address": In(len(first.address)),
                "word": In(kind.block * kind.data_bits),
                "clear": In(1),
                "store": In(1),
                "bus": Out(first.bus.shape()),
            }
            | ({"fault": Out(1)} if kind.parity else {})
            | {name: In(bits) for name, bits in kind.halves.items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number, element in enumerate(self.elements):
            m.submodules[f"element{number}"] = element
        first = self.elements[0]
        self._feed(m, first)
        for left, right in zip(self.elements, self.elements[1:], strict=False):
            m.d.comb += [
                right.address.eq(left.next_address),
                right.operand.eq(left.next_operand),
                right.clear.eq(left.next_clear),
                right.store.eq(left.next_store),
                right.drain.eq(left.next_drain),
                right.bus.eq(left.next_bus),
            ]
            m.d.comb += [
                getattr(right, name).eq(getattr(left, f"next_{name}")) for name in self.kind.halves
            ]
            if left.rows > 1:
                m.d.comb += right.products.eq(left.next_products)
        m.d.comb += self.bus.eq(self.elements[-1].next_bus)
        if self.kind.parity:
            pairs = zip(self.elements, self.elements[1:], strict=False)
            m.d.comb += [right.fault.eq(left.next_fault) for left, right in pairs]
            m.d.comb += self.fault.eq(self.elements[-1].next_fault)
        return m

    def _feed(self, m: Module, first: Element) -> None:
        """Sums re + im, made once for all elements; `word` comes two cycles before the operand."""
        lanes = lanes_of(self.word, self.kind.data_bits, self.kind.block)
        operand = Signal(first.operand.shape(), reset_less=True)
        for lane, value in enumerate(lanes):
            m.d.sync += operand.lanes[lane].eq(register(m, value, f"lane{lane}"))
        for number, position in enumerate(range(2, self.kind.block, 2)):
            m.d.sync += operand.sums[number].eq(
                register(m, lanes[position] + lanes[position + 1], f"pair{number}")
            )
        m.d.comb += [
            first.address.eq(self.address),
            first.operand.eq(operand),
            first.clear.eq(self.clear),
            first.store.eq(self.store),
            *(getattr(first, name).eq(getattr(self, name)) for name in self.kind.halves),
            first.drain.eq(delayed_flag(m, self.store, self.kind.pipeline.product - 1, "store")),
        ]


def combine(bus: Sequence[Value], block: int) -> list[Value]:
    """A packed spectrum from the sums of one row."""
    if block == 1:
        return [bus[0]]
    spectrum: list[Value] = [bus[0], bus[1]]
    for first in range(2, 2 + 3 * (block // 2 - 1), 3):
        spectrum += [bus[first] - bus[first + 2], bus[first] + bus[first + 1]]
    return spectrum
