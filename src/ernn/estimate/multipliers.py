"""What Yosys makes of a multiplier: hard multipliers, by the rules of its `mul2dsp`."""

from dataclasses import dataclass

from ernn.estimate.device import Family


@dataclass(frozen=True)
class _Kind:
    """Widest operands of one block, the wider one first; the parts that wider operands are cut
    into; the narrowest operand and result that are worth a block."""

    widest: tuple[int, int]
    part: tuple[int, int]
    result: int = 0
    operand: int = 2


# A part of a signed operand is one bit narrower where the block has only signed operands (DSP48).
_KINDS: dict[Family, _Kind] = {
    "ecp5": _Kind((18, 18), (18, 18)),
    "xc7": _Kind((25, 18), (24, 17), result=9),
    "xcu": _Kind((27, 18), (26, 17), result=9),
    "xcup": _Kind((27, 18), (26, 17), result=9),
}


@dataclass(frozen=True)
class Multiplier:
    """A signed product of `a` by `b` bits."""

    a: int
    b: int

    def blocks(self, family: Family) -> int:
        """Hard multipliers it takes; a wide operand's rest, too narrow for one, is logic."""
        kind = _KINDS[family]
        wide, narrow = max(self.a, self.b), min(self.a, self.b)
        if narrow < kind.operand or wide + narrow < kind.result:
            return 0
        return _parts(wide, kind.widest[0], kind.part[0], kind.operand) * _parts(
            narrow, kind.widest[1], kind.part[1], kind.operand
        )


def _parts(width: int, widest: int, part: int, least: int) -> int:
    if width <= widest:
        return 1
    whole, rest = divmod(width, part)
    return whole + (rest >= least)
