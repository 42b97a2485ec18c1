"""The real FFT and its inverse as pipelines: one register a stage, two where constants are multiplied."""

from amaranth import Module, Value, signed

from ernn.integer_model import Stage, Transform
from ernn.rtl.arith import register, round_shift, times_constant
from ernn.timing import stage_depth

Lane = tuple[Value, int]  # a signed value and a bound on its magnitude


def transform_pipe(m: Module, lanes: list[Value], bound: int, transform: Transform, name: str) -> list[Value]:
    """All stages in order; `lanes` are bounded by `bound` in magnitude; depth: `timing.transform_depth`."""
    current: list[Lane] = [(lane << transform.guard, bound << transform.guard) for lane in lanes]
    for number, stage in enumerate(transform.stages):
        current = _stage(m, current, stage, f"{name}{number}")
    return [value for value, _ in current]


def _stage(m: Module, lanes: list[Lane], stage: Stage, name: str) -> list[Lane]:
    depth = stage_depth(stage)
    result = []
    for row, (coefficients, shift) in enumerate(zip(stage.matrix, stage.shift, strict=True)):
        used = [(int(c), *lane) for c, lane in zip(coefficients, lanes, strict=True) if c]
        bound = _bound(used, int(shift))
        total = _sum_of_products(used)
        shape = signed(bound.bit_length() + 1)
        if depth == 1:
            result.append((register(m, total, f"{name}_{row}", shape), bound))
            continue
        exact = register(m, total, f"{name}_{row}_sum")
        result.append((register(m, round_shift(exact, int(shift)), f"{name}_{row}", shape), bound))
    return result


def _bound(used: list[tuple[int, Value, int]], shift: int) -> int:
    """Largest magnitude of a row's result."""
    exact = sum(abs(constant) * bound for constant, _, bound in used)
    return (exact + (1 << (shift - 1)) >> shift) if shift else exact


def _sum_of_products(used: list[tuple[int, Value, int]]) -> Value:
    """Terms with the same constant are added before they are multiplied."""
    groups: dict[int, list[Value]] = {}
    for constant, value, _ in used:
        groups.setdefault(abs(constant), []).append(value if constant > 0 else -value)
    total: Value | None = None
    for constant, values in groups.items():
        inner = values[0]
        for value in values[1:]:
            inner = inner + value
        part = times_constant(inner, constant)
        total = part if total is None else total + part
    assert total is not None, "a transform stage has an empty row"
    return total
