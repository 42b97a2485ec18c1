"""Small arithmetic on Amaranth values: saturation, selection among constants, sums."""

from collections.abc import Callable, Sequence
from math import ceil

from amaranth import Cat, Const, Module, Mux, Shape, Signal, Value, signed

_REDUCED = 16  # bits compared with each other before a register: two levels of look-up tables


def saturated(
    m: Module,
    value: Value,
    widths: Sequence[int],
    which: Value,
    name: str,
    fit: int,
    *,
    width: int = 0,
) -> Signal:
    """A signed value clamped to widths[which] bits: in `fit` cycles what does not fit is found out,
    in one replaced.

    `width`: bits of the result, at least.
    """
    return register(m, saturating(m, value, widths, which, name, fit, width=width), name)


def saturating(
    m: Module,
    value: Value,
    widths: Sequence[int],
    which: Value,
    name: str,
    fit: int,
    zero: Value | None = None,
    width: int = 0,
) -> Value:
    """As `saturated`, before its last register; `zero`, in that cycle, makes it 0."""
    largest = max(widths)
    parts = max(1, ceil((len(value) - min(widths) + 1) / _REDUCED))
    alike = chosen(m, which, widths, lambda width: _alike(value, width, parts), f"{name}_by")
    found = delayed(m, alike, fit, f"{name}_alike")
    over = ~(found[:parts].all() | found[parts : 2 * parts].all())
    sign = delayed(m, value[-1], fit, f"{name}_sign")
    kept = delayed(
        m, value[:largest].as_signed() if len(value) > largest else value, fit, f"{name}_kept"
    )
    which = delayed(m, which, fit, f"{name}_which")
    limit = chosen(m, which, widths, lambda width: _limit(sign, width), f"{name}_limit")
    clamped = Mux(over, limit, kept)
    result = Signal(signed(max(largest, width)), name=f"{name}_next")
    m.d.comb += result.eq(clamped if zero is None else Mux(zero, 0, clamped))
    return result


def clamped(value: Value, width: int) -> Value:
    """A signed value held to `width` bits, in the same cycle."""
    if len(value) <= width:
        return value
    top = value[width - 1 :]
    return Mux(top.all() | ~top.any(), value[:width], _limit(value[-1], width)).as_signed()


def _alike(value: Value, width: int, parts: int) -> Value:
    """Of each of so many parts of the bits that must be equal to fit `width` bits: all 1; then, of
    each: all 0.
    """
    top = value[min(width, len(value)) - 1 :]
    cut = [top[start : start + _REDUCED] for start in range(0, len(top), _REDUCED)]
    cut += [Const(0, 0)] * (parts - len(cut))
    return Cat(
        *(part.all() if len(part) else 1 for part in cut),
        *(~part.any() if len(part) else 1 for part in cut),
    )


def _limit(sign: Value, width: int) -> Value:
    """The least number of `width` bits, or the greatest."""
    return Cat((~sign).replicate(width - 1), sign).as_signed()


def chosen(
    m: Module,
    index: Value,
    choices: Sequence[int],
    function: Callable[[int], Value],
    name: str = "chosen",
) -> Value:
    """function(choices[index]) for a signed function; a single choice needs no selector."""
    if len(choices) == 1:
        return function(choices[0])
    values = [Value.cast(function(choice)) for choice in choices]
    result = Signal(
        signed(max(len(value) + (not value.shape().signed) for value in values)), name=name
    )
    with m.Switch(index):
        for number, value in enumerate(values):
            with m.Case(number):
                m.d.comb += result.eq(value)
    return result


Term = tuple[Value, bool]  # a value, and whether it is to be subtracted


def signed_sum(terms: Sequence[Term]) -> Value:
    """The sum of all terms; no value is negated on its own."""
    plus, minus = (
        [value for value, negative in terms if negative == kind] for kind in (False, True)
    )
    total = sum(plus[1:], plus[0]) if plus else Const(0, signed(1))
    for value in minus:
        total = total - value
    return total


def added(m: Module, terms: Sequence[Term], levels: int, name: str, registers: bool) -> Term:
    """Sum of terms, two at a time in `levels` levels, with `registers` after each."""
    for level in range(levels):
        pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
        terms = [_pair(m, pair, f"{name}_{level}_{i}", registers) for i, pair in enumerate(pairs)]
    assert len(terms) == 1, f"{levels} levels are too few"
    return terms[0]


def _pair(m: Module, pair: Sequence[Term], name: str, registered: bool) -> Term:
    """One term or the sum of two, perhaps registered; subtracted as a whole where nothing in it is
    added.
    """
    negative = all(sign for _, sign in pair)
    total = signed_sum([(value, sign and not negative) for value, sign in pair])
    return delayed(m, total, int(registered), name), negative


def added_by(m: Module, values: Sequence[Value], at_a_time: int, name: str) -> Value:
    """Sum of values, so many at a time, a register after each level; one value stays as it is."""
    level = 0
    while len(values) > 1:
        groups = [values[i : i + at_a_time] for i in range(0, len(values), at_a_time)]
        values = [
            register(m, _in_pairs(group), f"{name}_{level}_{i}") for i, group in enumerate(groups)
        ]
        level += 1
    return values[0]


def _in_pairs(values: Sequence[Value]) -> Value:
    """A sum in as few levels of adders as there can be."""
    half = len(values) // 2
    return _in_pairs(values[:half]) + _in_pairs(values[half:]) if half else values[0]


def divided(m: Module, value: Value, divisor: int, most: int, name: str) -> tuple[Value, Value]:
    """value // divisor and value % divisor for values below `most`: wires for a power of two, else
    a table.
    """
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


def sign_extended(value: Value, width: int) -> Value:
    """With `width` bits."""
    return Cat(value, value[-1].replicate(width - len(value)))


def fitted(value: Value, width: int) -> Value:
    """A signed value that fits, in exactly `width` bits."""
    return value[:width].as_signed() if len(value) >= width else sign_extended(value, width)


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
        after = Signal(len(value), name=f"{name}_d{number + 1}")
        m.d.sync += after.eq(value)
        value = after
    return value
