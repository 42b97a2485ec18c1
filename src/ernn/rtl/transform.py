"""The real FFT and its inverse as pipelines: a register after every adder, or every few (depths:
`ernn.scheduling.timing`).
"""

from amaranth import Const, Module, Signal, Value, signed

from ernn.ir.integer_parts import Stage, Transform
from ernn.rtl.arith import Term, added, register, signed_sum
from ernn.scheduling.signed_digits import signed_digits
from ernn.scheduling.timing import Pipeline, stage_depths, tree_levels

Lane = tuple[Value, int]  # a signed value and a bound on its magnitude


def transform_pipe(
    m: Module, lanes: list[Value], bound: int, transform: Transform, name: str, pipeline: Pipeline
) -> list[Value]:
    """All stages in order; `lanes` are bounded by `bound` in magnitude; depth:
    `timing.transform_depth`.
    """
    current: list[Lane] = [(lane << transform.guard, bound << transform.guard) for lane in lanes]
    stages = zip(transform.stages, stage_depths(transform, pipeline), strict=True)
    for number, (stage, depth) in enumerate(stages):
        current = _stage(m, current, stage, f"{name}{number}", pipeline, depth)
    return [value for value, _ in current]


def _stage(
    m: Module, lanes: list[Lane], stage: Stage, name: str, pipeline: Pipeline, depth: int
) -> list[Lane]:
    result = []
    for row, (coefficients, shift) in enumerate(zip(stage.matrix, stage.shift, strict=True)):
        used = [(int(c), *lane) for c, lane in zip(coefficients, lanes, strict=True) if c]
        bound = _bound(used, int(shift))
        shape = signed(bound.bit_length() + 1)
        if not stage.shift.any():
            total = signed_sum([_scaled(value, constant) for constant, value, _ in used])
        else:
            exact, negative = _sum_of_products(
                m, used, tree_levels(stage), f"{name}_{row}", pipeline.levels
            )
            half = Const((1 << int(shift)) >> 1, signed(int(shift) + 1))
            total = signed_sum([(half, False), (exact, negative)]) >> int(shift)
        made = Signal(shape, name=f"{name}_{row}", reset_less=True)
        m.d["sync" if depth else "comb"] += made.eq(total)
        result.append((made, bound))
    return result


def _scaled(value: Value, constant: int) -> Term:
    """A product with plus or minus a power of two."""
    return value << (abs(constant).bit_length() - 1), constant < 0


def _bound(used: list[tuple[int, Value, int]], shift: int) -> int:
    """Largest magnitude of a row's result."""
    exact = sum(abs(constant) * bound for constant, _, bound in used)
    return (exact + (1 << (shift - 1)) >> shift) if shift else exact


def _sum_of_products(
    m: Module, used: list[tuple[int, Value, int]], levels: int, name: str, registers: bool
) -> Term:
    """Terms with the same constant are added before they are multiplied, by shifts and adds."""
    groups: dict[int, list[Term]] = {}
    for constant, value, _ in used:
        groups.setdefault(abs(constant), []).append((value, constant < 0))
    terms: list[Term] = []
    for number, (constant, values) in enumerate(groups.items()):
        inner = register(m, signed_sum(values), f"{name}_same{number}")
        terms += [(inner << power, sign < 0) for sign, power in signed_digits(constant)]
    return added(m, terms, levels, f"{name}_tree", registers)
