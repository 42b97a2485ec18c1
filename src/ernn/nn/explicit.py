"""A cell as its description says, one step after the other in torch's operations.

What runs on other devices and in other number formats, and what the scan is tested against.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ernn.ir.cell import CellProduct, CellStep, CellTerm, Read
from ernn.nn.activations import FUNCTIONS
from ernn.nn.parameters import Parameters, delayed
from ernn.nn.table import remembered


class Edges:
    """What happens to the numbers where they go from one operation to the next: nothing."""

    def product(self, product: str, total: Tensor) -> Tensor:
        """What a product gives, before its bias is added."""
        return total

    def step(self, step: CellStep, total: Tensor) -> Tensor:
        """The step's value from the sum of its terms."""
        return FUNCTIONS[step.activation](total) if step.activation else total


NONE = Edges()


def explicit(
    named: Parameters,
    frames: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    edges: Edges = NONE,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """As `ernn.nn.through.scanned`."""
    run = _Run(named, frames, state, edges)
    for _ in range(len(next(iter(frames.values())))):
        run.frame()
    outputs = [torch.stack([one[name] for one in run.past]) for name in run.cell.outputs]
    return outputs, {name: run.past[-1][name] for name in remembered(run.cell)}


class _Run:
    def __init__(
        self,
        named: Parameters,
        frames: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        edges: Edges,
    ) -> None:
        self.named, self.frames, self.state, self.edges = named, frames, state, edges
        self.cell, self.past = named.cell, list[dict[str, Tensor]]()
        self.weights = {key: weight.dense() for key, weight in named.weights.items()}
        self.of_input = {p.name: self._of_input(p) for p in self.cell.products}

    def _of_input(self, product: CellProduct) -> Tensor | None:
        """What a product has of inputs, in all frames at once."""
        found = [
            functional.linear(
                delayed(self.frames[read.name], read.delay),
                self.weights[product.name, str(read)],
            )
            for read in product.reads
            if read.name in self.frames
        ]
        return sum(found[1:], found[0]) if found else None

    def frame(self) -> None:
        """The next frame's steps, to the end of `past`."""
        self.past.append({})
        for stage in self.cell.stages:
            gates: dict[str, Tensor] = {}
            for product in stage.products:
                parts = self._product(product).chunk(product.gates, dim=-1)
                gates |= {f"{product.name}.{gate}": part for gate, part in enumerate(parts)}
            for step in stage.steps:
                terms = [self._term(term, gates) for term in step.terms]
                total = sum(terms[1:], terms[0])
                self.past[-1][step.name] = self.edges.step(step, total)

    def _product(self, product: CellProduct) -> Tensor:
        of_input = self.of_input[product.name]
        found = [] if of_input is None else [of_input[len(self.past) - 1]]
        for read in product.reads:
            if read.name not in self.frames:
                weight = self.weights[product.name, str(read)]
                found.append(functional.linear(self._value(read), weight))
        total = self.edges.product(product.name, sum(found[1:], found[0]))
        bias = self.named.biases.get(product.name)
        return total if bias is None else total + bias

    def _term(self, term: CellTerm, gates: Mapping[str, Tensor]) -> Tensor:
        first, *others = (
            gates[f.name] if f.name in gates else self._value(f) for f in term.factors
        )
        value = first * others[0] if others else first
        return -value if term.negative else value

    def _value(self, read: Read) -> Tensor:
        some = next(iter(self.frames.values()))
        if read.name in self.named.vectors:
            return self.named.vectors[read.name].expand(some.shape[1], -1)
        t = len(self.past) - 1 - read.delay
        if read.name in self.frames:
            frames = self.frames[read.name]
            return frames[t] if t >= 0 else torch.zeros_like(frames[0])
        if t >= 0:
            return self.past[t][read.name]
        if read.name in self.state:
            return self.state[read.name]
        return some.new_zeros(some.shape[1], self.named.lengths[read.name])
