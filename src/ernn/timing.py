"""Latencies of the engine's pipelines in cycles. The RTL is built to these figures; the schedule relies on them.

"Issue" is the cycle in which a unit's tape player is active; a memory written at the end of cycle c can be read by
an item issued in cycle c or later, because a read address is registered once on its way.
"""

from dataclasses import dataclass

from ernn.constants import signed_digits
from ernn.design import Design
from ernn.integer_model import IntegerModel, Stage, Transform

OPERAND = 8  # issue -> operand at the first element: addresses, memory, its registers, blanking, sums, operand
PRODUCT = 5  # operand -> result bus: multiplier, a register apart from it, accumulator, hold, bus
COMBINE = 1  # three-multiplication products to real and imaginary parts
ROUND = 4  # shift, round, find out what does not fit, saturate
EXIT = COMBINE + ROUND
ENTRY = 1  # a register before the forward transform
STORE = 1  # a register before a memory of spectra or gates
QUEUES = 11  # input queue, counting the frame, starting the round and its tapes, output queue
VECTOR = 22  # issue of a step's last term -> its result is written


def stage_depth(stage: Stage) -> int:
    """Registers of a transform stage: one; where constants are multiplied, one for terms with the same constant, one a
    level of the adder tree, one for rounding."""
    return 2 + tree_levels(stage) if stage.shift.any() else 1


def tree_levels(stage: Stage) -> int:
    """Levels of the tree that adds a row's shifted terms, two at a time, as deep as its deepest row needs."""
    digits = max(sum(len(signed_digits(c)) for c in {abs(int(c)) for c in row}) for row in stage.matrix)
    return (digits - 1).bit_length()


def sum_depth(design: Design) -> int:
    """Registers of the tree that adds the groups' sums, two at a time."""
    return (design.splits - 1).bit_length()


def transform_depth(transform: Transform) -> int:
    return sum(stage_depth(stage) for stage in transform.stages)


@dataclass(frozen=True)
class Timing:
    """Latencies for one model and design.

    `exit`: issue of a pass's last column -> result of its first row leaves the processing elements.
    `product`: the same -> that result is written to the gates memory; later rows follow one a cycle.
    `spectrum`: issue of a step's last term -> its spectrum is written.
    `forward`, `inverse`: the transforms, the registers around the forward one and the rounding after it included.
    `input`: a frame's last word enters an idle engine -> cycle 0 of its round, and a result's way out of its queue.
    """

    exit: int
    product: int
    spectrum: int
    forward: int
    inverse: int
    input: int

    @classmethod
    def of(cls, model: IntegerModel, design: Design) -> "Timing":
        forward, inverse = transform_depth(model.forward), transform_depth(model.inverse)
        leave = OPERAND + PRODUCT + design.pes // design.words - 1 + sum_depth(design)
        return cls(
            exit=leave,
            product=leave + EXIT + inverse + ROUND + STORE,
            spectrum=VECTOR + ENTRY + forward + ROUND + STORE,
            forward=ENTRY + forward + ROUND + STORE,
            inverse=inverse,
            input=QUEUES + ENTRY + forward + ROUND + STORE,
        )
