"""Latencies of the engine's pipelines in cycles. The RTL is built to these figures; the schedule
relies on them.

"Issue" is the cycle in which a unit's tape player is active; a memory written at the end of cycle c
can be read by an item issued in cycle c or later, because a read address is registered once on its
way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType

from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Stage, Transform
from ernn.scheduling.design import Design, PipelineName
from ernn.scheduling.passed import Passed
from ernn.scheduling.signed_digits import signed_digits

COMBINE = 1  # three-multiplication products to real and imaginary parts
KEPT = 3  # last column of a pass whose sums are kept -> first of the one that goes on with them
QUEUES = 11  # input queue, counting the frame, starting the round and its tapes, output queue
REWIND = 2  # a tape that ended early -> its player may be started again
FAR_QUEUES = 3  # more of them: a round starts later, two registers before what is shown


@dataclass(frozen=True)
class Pipeline:
    """How many registers paths have, in cycles.

    `apart`: behind memories and multipliers, apart from the hard block's own; `array`: the same in
    the array; `far`: on ways across a full device: addresses of weights, results on their way to
    memories and transforms, the start of a round, both ends of the streams; `shift`, `fit`: a
    rounding's shift, and finding out whether the result fits, each before the cycle that rounds or
    saturates; `term`: between a scaled product and the vector unit's sum; `levels`: after each
    level of an adder tree in a transform, and each of its plain stages; `store`: before the
    memories of spectra and gates.
    `packed`: whether two elements share their multipliers.
    """

    apart: int
    array: int
    far: int
    shift: int
    fit: int
    term: int
    levels: bool
    store: int
    packed: bool = False

    @property
    def summands(self) -> int:
        """Sums of groups that are added in a cycle: in as many levels of adders as a rotation's
        products in the transforms, or in one."""
        return 2 if self.levels else 8

    @property
    def rounding(self) -> int:
        """Shift, round, find out what does not fit, saturate."""
        return self.shift + 1 + self.fit + 1

    @property
    def operand(self) -> int:
        """Issue -> operand at the first element: addresses, memory, its registers, blanking, sums,
        operand.
        """
        return 6 + 2 * self.array + self.far

    @property
    def product(self) -> int:
        """Operand -> result bus: multiplier, a register apart from it, accumulator, hold, bus."""
        return 4 + self.array + self.shared

    @property
    def settled(self) -> int:
        """Operand -> what logic multiplies of a shared product's bits (`ernn.rtl.shared`)."""
        return 2 if self.levels else 1

    @property
    def shared(self) -> int:
        """Behind a multiplier's registers: the wait for that, and taking two products apart."""
        return self.settled - self.array if self.packed else 0

    @property
    def exit(self) -> int:
        """Result bus -> rows of the inverse transform."""
        return COMBINE + self.rounding

    # The vector unit: cycles after issue.

    @property
    def memories(self) -> int:
        """Words read: address, memory, its output register, a register apart from it."""
        return 3 + self.apart

    @property
    def operands(self) -> int:
        return self.memories + 1

    @property
    def products(self) -> int:
        return self.operands + 1 + self.apart

    @property
    def terms(self) -> int:
        """Scaled, and added to the addend and bias."""
        return self.products + 1 + self.term

    @property
    def sums(self) -> int:
        return self.terms + 1

    @property
    def values(self) -> int:
        """Rounded and saturated."""
        return self.sums + self.rounding

    @property
    def activation(self) -> int:
        """A value -> its activation: memory, operands, product, base plus product, saturated."""
        return 5 + 2 * self.apart + self.fit

    @property
    def vector(self) -> int:
        """Issue of a step's last term -> its result is there."""
        return self.values + self.activation

    @property
    def value(self) -> int:
        """The same -> it is written among the values."""
        return self.vector + self.far

    @property
    def entry(self) -> int:
        """Registers before the forward transform: behind the choice between result and input, and
        on the way across."""
        return self.levels + self.far


DEEP = Pipeline(apart=1, array=1, far=0, shift=1, fit=1, term=1, levels=True, store=1)
"""One adder or one choice a cycle: for the clock on ECP5."""
DIRECT = replace(DEEP, array=0, far=1)
"""For an engine that fills its device: no register of its own between a hard block of the array and
logic, which then lie side by side, but one more on every way across."""
SHALLOW = Pipeline(apart=0, array=0, far=0, shift=0, fit=0, term=0, levels=False, store=0)
"""A handful of levels of logic a cycle: for UltraScale at 200 MHz."""


PIPELINES: Mapping[PipelineName, Pipeline] = MappingProxyType(
    {"deep": DEEP, "direct": DIRECT, "shallow": SHALLOW}
)


def pipeline_of(design: Design) -> Pipeline:
    return replace(PIPELINES[design.pipeline], packed=bool(design.packed))


def stage_depths(transform: Transform, pipeline: Pipeline) -> tuple[int, ...]:
    """Registers of a transform's stages: one each; where constants are multiplied, one for terms
    with the same constant, one a level of the adder tree, one for rounding. Without `levels` two
    sums follow each other in a cycle: a plain stage leaves its register to the next one, or to the
    rounding of what is transformed.
    """
    depths: list[int] = []
    for number, stage in enumerate(transform.stages):
        begins = number == 0 or depths[-1] > 0
        leaves = begins and not (pipeline.levels or stage.shift.any())
        depths.append(0 if leaves else _stage_depth(stage, pipeline))
    return tuple(depths)


def _stage_depth(stage: Stage, pipeline: Pipeline) -> int:
    return 2 + (tree_levels(stage) if pipeline.levels else 0) if stage.shift.any() else 1


def tree_levels(stage: Stage) -> int:
    """Levels of the tree that adds a row's shifted terms, two at a time, as deep as its deepest row
    needs.
    """
    digits = max(
        sum(len(signed_digits(c)) for c in {abs(int(c)) for c in row}) for row in stage.matrix
    )
    return (digits - 1).bit_length()


def sum_depth(design: Design) -> int:
    """Registers of the tree that adds the groups' sums, `Pipeline.summands` at a time."""
    left, depth = design.splits, 0
    while left > 1:
        left, depth = ceil(left / pipeline_of(design).summands), depth + 1
    return depth


def transform_depth(transform: Transform, pipeline: Pipeline) -> int:
    return sum(stage_depths(transform, pipeline))


@dataclass(frozen=True)
class Timing:
    """Latencies for one model and design.

    `pipeline`: what they are made of; `passed`: which roundings are passed by.
    `exit`: issue of a pass's last column -> result of its first row leaves the processing elements.
    `combine`: from there until complex products are combined; `rows`: until rows of the inverse
    transform are there. `product`: issue -> that result is written to the gates memory; later rows
    follow one a cycle. `spectrum`: issue of a step's last term -> its spectrum is written.
    `forward`, `inverse`: the transforms, the registers around the forward one and the rounding
    after it included; `rounded`: that of spectra, `results`: that of products.
    `input`: a frame's last word enters an idle engine -> cycle 0 of its round, and a result's way
    out of its queue.
    """

    pipeline: Pipeline
    passed: Passed
    exit: int
    combine: int
    rows: int
    rounded: int
    results: int
    product: int
    spectrum: int
    forward: int
    inverse: int
    input: int

    @classmethod
    def of(cls, model: IntegerModel, design: Design) -> "Timing":
        pipeline, passed = pipeline_of(design), Passed.of(model)
        combine = 0 if passed.combining else COMBINE
        rows = pipeline.exit - COMBINE + combine
        results = 0 if passed.second else pipeline.rounding
        rounded = pipeline.rounding if passed.spectra is None else passed.spectra
        inverse = transform_depth(model.inverse, pipeline)
        leave = (
            pipeline.operand + pipeline.product + design.pes // design.words - 1 + sum_depth(design)
        )
        transformed = transform_depth(model.forward, pipeline)
        forward = pipeline.entry + transformed + rounded + pipeline.store
        return cls(
            pipeline=pipeline,
            passed=passed,
            exit=leave,
            combine=combine,
            rows=rows,
            rounded=rounded,
            results=results,
            product=leave + rows + inverse + results + pipeline.store,
            spectrum=pipeline.vector + forward,
            forward=forward,
            inverse=inverse,
            input=QUEUES + pipeline.far * FAR_QUEUES + forward,
        )
