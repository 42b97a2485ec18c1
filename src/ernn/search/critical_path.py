"""What a frame's outputs wait for, whatever the schedule: a lower bound on its latency."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ernn.ir.integer_parts import Product
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.timing import Timing
from ernn.scheduling.vector_program import Gate, LayerStage, Step


@dataclass(frozen=True, eq=False)
class Link:
    """A stage on the way to an output: its steps that the next link waits for.

    `through`: what it reads of the link before.
    """

    stage: LayerStage
    steps: tuple[Step, ...]
    through: frozenset[str] = frozenset()

    @property
    def products(self) -> tuple[Product, ...]:
        """Products of which these steps read every gate, and that wait for the link before."""
        read = {(gate.product, gate.gate) for step in self.steps for gate in _gates(step)}
        return tuple(
            product
            for product in self.stage.products
            if all((product.name, gate) in read for gate in range(product.gates))
            if not self.through or self.through & _signals(product)
        )

    def waiting(self, beforehand: bool) -> tuple[Product, ...]:
        """The same without what may be multiplied before: what earlier frames gave, of what reads
        the input only where sums may be made `beforehand`."""
        if not (self.through or beforehand):
            return self.products
        late = ((one, tuple(o for o in one.operands if not o.delay)) for one in self.products)
        return tuple(replace(one, operands=operands) for one, operands in late if operands)


Chain = tuple[Link, ...]


def longest_chain(stages: Sequence[LayerStage]) -> Chain:
    """Stages of which each reads what the one before has given of the same frame, the last one
    sending an output; as many as there can be.
    """
    chains: list[Chain] = []
    for stage in stages:
        given = (_after(chain, stage) for chain in chains)
        before = max((one for one in given if one), key=len, default=())
        through = _read(stage) & _given(before[-1].stage) if before else frozenset[str]()
        chains.append((*before, Link(stage, stage.steps, through)))
    sent = [{step.name for step in stage.steps if step.output} for stage in stages]
    number = max(n for n, names in enumerate(sent) if names)
    *before, last = chains[number]
    return (*before, Link(last.stage, _until(last.stage, sent[number]), last.through))


def _after(chain: Chain, stage: LayerStage) -> Chain:
    """A chain as far as a stage waits for it; empty where it does not."""
    *before, last = chain
    steps = _until(last.stage, _read(stage))
    return (*before, Link(last.stage, steps, last.through)) if steps else ()


def _until(stage: LayerStage, names: set[str] | frozenset[str]) -> tuple[Step, ...]:
    """Steps that give one of these, and those that they follow; none if there is none."""
    needed: set[int] = set()
    for number in reversed(range(len(stage.steps))):
        if number in needed or stage.steps[number].name in names:
            needed |= {number, *stage.follows[number]}
    return tuple(stage.steps[number] for number in sorted(needed))


def _given(stage: LayerStage) -> frozenset[str]:
    return frozenset(step.name for step in stage.steps)


def _read(stage: LayerStage) -> frozenset[str]:
    """Signals of the same frame that products read; of a stage without any, values."""
    if stage.products:
        return frozenset[str]().union(*map(_signals, stage.products))
    terms = (term for step in stage.steps for term in step.terms)
    return frozenset(kept.value.name for term in terms for kept in term.reads if not kept.before)


def _signals(product: Product) -> frozenset[str]:
    return frozenset(operand.signal for operand in product.operands if not operand.delay)


def _begins_with_gates(stage: LayerStage) -> bool:
    """Whether every step that follows no other reads a gate."""
    pairs = zip(stage.steps, stage.follows, strict=True)
    return all(_gates(step) for step, before in pairs if not before)


def _gates(step: Step) -> list[Gate]:
    return [term.addend for term in step.terms if isinstance(term.addend, Gate)]


def least_latency(layout: MemoryMap, array: int) -> int:
    """Cycles from a frame's last word in to its last word out, at least.

    `array`: cycles of the products that the longest chain waits for.
    """
    timing, chain = Timing.of(layout.model, layout.design), longest_chain(layout.stages)
    product = timing.product - layout.design.forwarding * timing.pipeline.memories
    products = sum(bool(link.products) for link in chain)
    # a result is there so long after the last column was issued, the first of its cycles
    between = timing.pipeline.values + timing.forward
    waits = array + products * (product - 1) + max(0, products - 1) * between
    first = product if all(map(_begins_with_gates, layout.stages)) else 0
    vector = first + _vector_cycles(layout, chain[-1])
    tabled = layout.model.table(chain[-1].steps[-1].activation) is not None
    result = timing.pipeline.vector if tabled else timing.pipeline.values
    return timing.input + max(waits, vector) + result


def _vector_cycles(layout: MemoryMap, last: Link) -> int:
    """Of all stages before the last link's, and of that one up to the output."""
    before = layout.stages[: layout.stages.index(last.stage)]
    steps = [*(step for stage in before for step in stage.steps), *last.steps]
    return sum(len(s.terms) * layout.lines(s.length) for s in steps) * layout.beats
