"""Small arithmetic on Amaranth values: rounding, saturation, selection among constants, products with constants."""

from collections.abc import Callable, Sequence

from amaranth import Const, Module, Mux, Shape, Signal, Value, signed


def round_shift(value: Value, shift: int) -> Value:
    """value * 2**-shift, rounded half up; a negative shift is exact."""
    if shift <= 0:
        return value << -shift
    return (value + Const(1 << (shift - 1), signed(shift + 1))) >> shift


def saturate(value: Value, width: int) -> Value:
    """Clamp a signed value to `width` bits."""
    if len(value) <= width:
        return value
    sign, top = value[-1], value[width - 1 : -1]
    over = Mux(sign, ~top.all(), top.any())
    limit = Mux(sign, Const(-(1 << (width - 1)), signed(width)), Const((1 << (width - 1)) - 1, signed(width)))
    return Mux(over, limit, value[:width].as_signed())


def chosen(
    m: Module, index: Value, choices: Sequence[int], function: Callable[[int], Value], name: str = "chosen"
) -> Value:
    """function(choices[index]) for a signed function; a single choice needs no selector."""
    if len(choices) == 1:
        return function(choices[0])
    values = [Value.cast(function(choice)) for choice in choices]
    result = Signal(signed(max(len(value) + (not value.shape().signed) for value in values)), name=name)
    with m.Switch(index):
        for number, value in enumerate(values):
            with m.Case(number):
                m.d.comb += result.eq(value)
    return result


def added(m: Module, values: Sequence[Value], levels: int, name: str) -> Value:
    """Sum of values, four at a time, a register after each of `levels` levels."""
    for level in range(levels):
        fours = [values[i : i + 4] for i in range(0, len(values), 4)]
        values = [register(m, _sum_of_four(four), f"{name}_{level}_{i}") for i, four in enumerate(fours)]
    assert len(values) == 1, f"{levels} levels are too few"
    return values[0]


def _sum_of_four(values: Sequence[Value]) -> Value:
    pairs = [values[0] + values[1] if len(values) > 1 else values[0]]
    pairs += [values[2] + values[3] if len(values) > 3 else values[2]] if len(values) > 2 else []
    return sum(pairs[1:], pairs[0])


def added_in_pairs(m: Module, values: Sequence[Value], name: str) -> Value:
    """Sum of values, two at a time, a register after each level; one value stays as it is."""
    level = 0
    while len(values) > 1:
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        values = [
            register(m, pair[0] + pair[1] if len(pair) > 1 else pair[0], f"{name}_{level}_{i}")
            for i, pair in enumerate(pairs)
        ]
        level += 1
    return values[0]


def divided(m: Module, value: Value, divisor: int, most: int, name: str) -> tuple[Value, Value]:
    """value // divisor and value % divisor for values below `most`: wires for a power of two, else a table."""
    bits = divisor.bit_length() - 1
    if divisor == 1 << bits:
        return value[bits:], value[:bits]
    quotient = Signal(range(max(2, (most - 1) // divisor + 1)), name=f"{name}_quotient")
    rest = Signal(range(divisor), name=f"{name}_rest")
    with m.Switch(value):
        for number in range(most):
            with m.Case(number):
                m.d.comb += [quotient.eq(number // divisor), rest.eq(number % divisor)]
    return quotient, rest


def lanes_of(word: Value, width: int, count: int) -> list[Value]:
    """A memory word as signed lanes, lane 0 in the lowest bits."""
    return [word[lane * width : (lane + 1) * width].as_signed() for lane in range(count)]


def register(m: Module, value: Value, name: str, shape: Shape | None = None) -> Signal:
    """A flip-flop after `value`."""
    signal = Signal(shape if shape is not None else value.shape(), name=name, reset_less=True)
    m.d.sync += signal.eq(value)
    return signal


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """`value` so many cycles later."""
    for number in range(cycles):
        value = register(m, value, f"{name}_d{number + 1}")
    return value


def delayed_flag(m: Module, value: Value, cycles: int, name: str) -> Value:
    """As `delayed`, and low after reset: for what starts or writes something."""
    for number in range(cycles):
        after = Signal(name=f"{name}_d{number + 1}")
        m.d.sync += after.eq(value)
        value = after
    return value
