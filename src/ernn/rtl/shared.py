"""Two products of one multiplier, for weights and data of few bits.

Two weights lie side by side in the multiplier's wider operand, `high` 2**s above `low`, and one
number multiplies both: n (high 2**s + low) = n high 2**s + n low.  The low product's upper bits lie
over the high product's lower ones where s is small.  Those few bits of n high are multiplied once
more, in logic; subtracted, they leave the low product's upper bits, and these the high product:
exact, always.  (Sommer et al., "DSP-Packing", FPL 2022, name the idea; there it may err.)
"""

from dataclasses import dataclass

from amaranth import Cat, Module, Mux, Signal, Value, signed, unsigned

from ernn.rtl.arith import added, delayed, register
from ernn.scheduling.timing import Pipeline


@dataclass(frozen=True)
class Sharing:
    """How two weights lie in one operand: `port` bits wide; `room` is 1 where a weight may be the
    least number of its bits, whose sum with a negative one needs a bit more, else 0.
    """

    port: int
    room: int

    def shift(self, number: int, weight: int) -> int:
        """How far apart weights lie, for operands of so many bits."""
        return min(self.port - weight - self.room, number + weight - 1)


def shared_product(
    m: Module,
    number: Value,
    low: Value,
    high: Value,
    sharing: Sharing,
    pipeline: Pipeline,
    name: str,
) -> tuple[Value, Value]:
    """number x low, and one cycle later number x high.

    The weights come two cycles before the number; the first product is there
    1 + `Pipeline.array` + `Pipeline.shared` cycles after it.
    """
    shift = sharing.shift(len(number), len(low))
    low, high = register(m, low, f"{name}_low"), register(m, high, f"{name}_high")
    wide = signed(shift + len(high) + sharing.room)
    beside = register(m, (high << shift) + low, f"{name}_beside", wide)
    bits = len(number) + len(low) - shift  # of the low product, above the high one's lowest
    few = register(m, high, f"{name}_few", unsigned(bits))
    over = _lowest(m, number, few, pipeline, f"{name}_over")
    product = delayed(m, number * beside, 1 + pipeline.array, name)
    product = delayed(m, product, pipeline.settled - 1 - pipeline.array, f"{name}_settled")
    upper = product[shift:].as_signed()
    rest = register(m, upper - over, f"{name}_rest", signed(bits))
    own = Cat(register(m, product[:shift], f"{name}_lower"), rest).as_signed()
    kept, whole = register(m, upper, f"{name}_upper"), signed(len(number) + len(high))
    return own, register(m, kept - rest, f"{name}_guest", whole)


def _lowest(m: Module, number: Value, weight: Value, pipeline: Pipeline, name: str) -> Value:
    """The lowest bits of a product, as many as `weight` has, `Pipeline.settled` cycles later."""
    bits = len(weight)
    low = Signal(bits, name=f"{name}_number")
    m.d.comb += low.eq(number)
    pairs = []
    for first in range(0, bits, 2):
        rows = [
            Mux(weight[place], low[: bits - place], 0) << (place - first)
            for place in range(first, min(first + 2, bits))
        ]
        total = sum(rows[1:], rows[0])[: bits - first]
        pairs.append(delayed(m, total, pipeline.settled - 1, f"{name}_pair{first}") << first)
    levels = (len(pairs) - 1).bit_length()
    total, _ = added(m, [(pair, False) for pair in pairs], levels, name, registers=False)
    return register(m, total, name, unsigned(bits))
