"""A traced network, split, lowered, and checked against the original on random input."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ernn.data.given import sequence
from ernn.errors import UserError
from ernn.frontends.fold import is_whole
from ernn.frontends.graph import Output, Outside, Recurrent, Signal
from ernn.frontends.host import End, Host, Program, States
from ernn.frontends.inputs import Inputs
from ernn.frontends.lower import Lowered, lower
from ernn.frontends.ports import Port, Ports
from ernn.frontends.recorder import Recorder
from ernn.frontends.split import Split, split
from ernn.ir import reference
from ernn.ir.network import Network
from ernn.ir.states import State, carried, first_frame

Array = np.ndarray
Execute = Callable[[Array, States], tuple[Array, States]]
"""Outputs and final states of frames and initial states."""


@dataclass(frozen=True, eq=False)
class Traced:
    """A network's graph.

    tensors: labels of the tensors that operations made, and of the inputs, by name.
    views: of other tensors, in which signals may lie that no single operation makes.
    results: names and labels of what it gives; no labels where only the host knows it.
    """

    recorder: Recorder
    tensors: Mapping[str, Array]
    results: Mapping[str, Array | None]
    views: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def split(self) -> Split:
        results = frozenset(one for name in self.results for one in self.read(name))
        return split(self.recorder.signals, results)

    @cached_property
    def alive(self) -> frozenset[int]:
        """The signals that some result follows from; all, where that is not known of one."""
        signals = self.recorder.signals
        if any(labels is None for labels in self.results.values()):
            return frozenset(range(len(signals)))
        waiting, found = [one for name in self.results for one in self.read(name)], set[int]()
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += signals[number].read
        return frozenset(found)

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """Results, but the first, that are final states of the accelerator."""
        return tuple(name for name in list(self.results)[1:] if self._is_end(name))

    def read(self, result: str) -> list[int]:
        """The signals in a result, in its order."""
        labels = self.results[result]
        if labels is None:
            return []
        own = self.recorder.space.origin(labels).signals.ravel()
        order = own[np.sort(np.unique(own, return_index=True)[1])]
        return [int(one) for one in order if one >= 0]

    def is_state(self, result: str) -> bool:
        """Whether a result holds states of the accelerator's layers where they have run through."""
        labels, read = self.results[result], self.read(result)
        if labels is None or not self.split.inside.issuperset(read):
            return False
        signals, origin = self.recorder.signals, self.recorder.space.origin(labels)
        ends = {
            one: 0 if _backward(signals, one) else signals[one].frames - 1
            for one in read
            if isinstance(signals[one].operation, Recurrent | Output)
        }
        return len(ends) == len(read) and all(
            (origin.times[origin.signals == one] == end).all() for one, end in ends.items()
        )

    def _is_end(self, result: str) -> bool:
        backward = any(_backward(self.recorder.signals, one) for one in self.read(result))
        return self.is_state(result) and not backward

    @property
    def streams(self) -> bool:
        """Whether the accelerator has a recurrent layer."""
        signals = self.recorder.signals
        return any(isinstance(signals[one].operation, Recurrent) for one in self.split.inside)


@dataclass(frozen=True)
class Stays:
    """An operation that stays on the host.

    where: in the user's words.  when: "before" or "after" the accelerator.  why: the reason.
    """

    where: str
    when: str
    why: str
    multiplications: int


@dataclass(frozen=True, eq=False)
class Imported:
    """A network as its user has it.

    network: what the accelerator computes.
    inputs: how frames become the network's inputs.
    host: what is before and after the accelerator.
    plain: whether that is nothing but views: the network takes the user's frames and gives their
        outputs.
    stays: what the host computes, by name.
    share: of a frame's multiplications, the accelerator's.
    difference: of the import from the original, on random frames, relative to the largest output.
    left: states that frames bring and outputs leave (`ernn.ir.states`), by layer and name: how many
        values each has; None where the network keeps its states to itself.
    """

    network: Network
    inputs: Inputs
    host: Host
    plain: bool
    stays: tuple[Stays, ...]
    share: float
    difference: float = 0.0
    left: Mapping[State, int] | None = None

    def carried(self) -> "Imported":
        """The same, whose frames bring the states to begin with and whose outputs leave the last.

        Where there is none, the same.
        """
        starts = [(layer, name) for layer, name, _ in self.host.states]
        ends = list(dict.fromkeys(one for end in self.host.ends for one in end.states.values()))
        if not starts and not ends:
            return self
        left = {(layer, name): self.network.layers[layer].lengths[name] for layer, name in ends}
        return replace(self, network=carried(self.network, starts, ends), left=left)

    def frames(self, sequence: Array, **inputs: Array) -> Array:
        """What the accelerator is given of one sequence (time, ...) and other inputs by name.

        Raises UserError where they bring a state that the accelerator does not take.
        """
        frames, starts = self._begun(self.inputs.given(sequence, **inputs))
        if any(values.any() for values in starts.values()):
            raise UserError(
                "a sequence brings a state to begin with: ernn.convert(..., carry=True) makes an "
                "accelerator that takes it"
            )
        return frames

    def _begun(self, given: Mapping[str, Array]) -> tuple[Array, States]:
        """The accelerator's frames, and the states that are none of them."""
        frames, starts = self.host.frames(given)
        if self.left is None:
            return frames, starts
        return first_frame(frames, [starts[layer, name] for layer, name, _ in self.host.states]), {}

    def _ended(self, outputs: Array) -> tuple[Array, States]:
        """The user's outputs, and the states that the last frame left."""
        assert self.left is not None
        own = sum(size for _, size in self.host.outputs)
        cuts = np.cumsum([own, *self.left.values()])[:-1]
        given, *states = np.split(outputs, cuts, axis=1)
        return given, {state: rows[-1] for state, rows in zip(self.left, states, strict=True)}

    def run(self, given: Mapping[str, Array], execute: Execute) -> list[Array]:
        """What the user's network gives, the accelerator's part by `execute`.

        given: the network's inputs by name, of one sequence.
        """
        outputs, ends = execute(*self._begun(given))
        if self.left is not None:
            outputs, ends = self._ended(outputs)
        return self.host.give(given, outputs, ends)

    def results(
        self, given: Any, inputs: Mapping[str, Array], execute: Execute
    ) -> Array | dict[str, Array]:
        """`run` on what a user gave for one sequence: an array, or arrays by name if there are
        several.
        """
        frames, beside = sequence(given)
        found = self.run(self.inputs.given(frames, **{**beside, **inputs}), execute)
        return found[0] if len(found) == 1 else dict(zip(self.host.results, found, strict=True))

    def execute_float(self, frames: Array, starts: States) -> tuple[Array, States]:
        """The accelerator's part in floats."""
        network = replace(self.network, last_step=False)
        outputs, state = reference.run(begun(network, starts), frames)
        ends = {
            (layer, name): values[0]
            for layer, kept in enumerate(state)
            for name, values in kept.items()
        }
        return outputs, ends


def begun(network: Network, starts: States) -> Network:
    """The network with other initial values, by layer and name."""
    layers = list(network.layers)
    for (index, name), values in starts.items():
        layer = layers[index]
        old = dict(zip(layer.cell.remembered, layer.initial, strict=False))
        initial = tuple((old | {name: values}).get(one) for one in layer.cell.remembered)
        layers[index] = replace(layer, initial=initial)
    return replace(network, layers=tuple(layers))


def finished(traced: Traced, program: Program, inputs: Inputs) -> Imported:
    """The network and the host's part."""
    traced, ports, outputs = _settled(traced)
    signals, inside, ends = traced.recorder.signals, traced.split.inside, traced.ends
    if refused := [why for why in traced.recorder.refused if not traced.streams]:
        raise UserError(refused[0])
    own = sum(signals[one].multiplications for one in inside & traced.alive)
    if not outputs or not (own or all(one.host == "" for one in signals)):
        raise UserError(_nothing(signals))
    kept = {_layer_of(signals, one) for name in ends for one in traced.read(name)}
    lowered = lower(signals, inside, outputs, frozenset(kept))
    stays = tuple(_stays(traced))
    every = own + sum(one.multiplications for one in stays)
    way = _plain(traced, lowered)
    return Imported(
        replace(lowered.network, last_step=way == "last"),
        inputs,
        _host(traced, program, lowered, ports),
        way != "",
        stays,
        own / every if every else 1.0,
    )


def _settled(traced: Traced) -> tuple[Traced, Ports, tuple[int, ...]]:
    """The split in which what leaves the accelerator is found in tensors of the user's code."""
    while True:
        ports = Ports(traced.recorder.signals, traced.recorder.space, traced.tensors, traced.views)
        outputs = _outputs(traced, ports)
        hidden = [one for one in outputs if ports.source(one, traced.split.inside) is None]
        if not hidden:
            return traced, ports, outputs
        signals = list(traced.recorder.signals)
        for one in hidden:
            number = _layer_of(signals, one)
            why = "is taken of single frames, which lie in no tensor (time, values)"
            signals[number] = replace(signals[number], host=why)
            if isinstance(signals[number].operation, Recurrent):
                traced.recorder.refused.append(f"{signals[number].where} {why}")
        traced = replace(traced, recorder=replace(traced.recorder, signals=signals))


def _nothing(signals: Sequence[Signal]) -> str:
    reasons = list(dict.fromkeys(f"{one.where} {one.host}" for one in signals if one.host))
    return "nothing of the network streams: " + ("; ".join(reasons[:3]) or "it has no operation")


def _layer_of(signals: Sequence[Signal], number: int) -> int:
    operation = signals[number].operation
    return operation.of if isinstance(operation, Output) else number


def _outputs(traced: Traced, ports: Ports) -> tuple[int, ...]:
    """The accelerator's signals that the host reads, or the user."""
    inside = traced.split.inside
    read = [
        one
        for number, signal in enumerate(traced.recorder.signals)
        if number not in inside and number in traced.alive
        for vector in signal.operation.reads
        for one in vector.read
    ]
    for name in traced.results:
        read += [] if name in traced.ends else traced.read(name)
    found = dict.fromkeys(one for one in read if one in inside)
    for signal in traced.recorder.signals:
        if isinstance(signal.operation, Outside) and signal.operation.single & found.keys():
            raise UserError(
                f"{signal.where} reads one frame of what the accelerator computes, neither the "
                "first nor the last: let it read whole sequences; a loop of one's own over time is "
                "a cell that is described (docs/how-to/compress.md, compact cells)"
            )
    sources = [port for one in found if (port := ports.source(one, inside)) is not None]
    beside = [other for port in sources for other in sorted(port.vector.read)]
    return tuple(found | dict.fromkeys(beside))


def _plain(traced: Traced, lowered: Lowered) -> str:
    """Whether the host has nothing to do: "every" frame is the result or the "last"; else empty."""
    signals, inputs = traced.recorder.signals, lowered.inputs
    labels = next(iter(traced.results.values()))
    if lowered.states or labels is None or len(traced.results) > 1 or inputs.read != {0}:
        return ""
    framed = traced.recorder.space.framed(labels)
    count = signals[0].frames
    if framed is None or framed.frames != count or not is_whole(inputs, signals[0].size):
        return ""
    every = [(one, 0, place) for one in lowered.outputs for place in range(signals[one].size)]
    if framed.vector.rows != every:
        return ""
    times = set(framed.times.tolist())
    return "every" if len(times) == count else "last" if times == {count - 1} else ""


def _stays(traced: Traced) -> Iterator[Stays]:
    """Each operation once, though it may give several signals."""
    inside, after = traced.split.inside, traced.split.after
    seen = set[str]()
    for number, signal in enumerate(traced.recorder.signals):
        input_ = isinstance(signal.operation, Outside) and not signal.host
        if number in inside or input_ or number not in traced.alive:
            continue
        if signal.where not in seen or signal.multiplications:
            when = "after" if number in after else "before"
            why = signal.host or _apart(traced, number)
            yield Stays(signal.where, when, why, signal.multiplications)
        seen.add(signal.where)


def _apart(traced: Traced, number: int) -> str:
    """Why what the accelerator could compute stays on the host: the operation between."""
    signals, after = traced.recorder.signals, number in traced.split.after
    near = {number}
    for other in reversed(range(number)) if after else range(number + 1, len(signals)):
        linked = (
            any(other in signals[one].read for one in near)
            if after
            else (not near.isdisjoint(signals[other].read))
        )
        if linked and signals[other].host:
            between = signals[other].where
            return f"is not in the largest stretch that streams: {between} lies between"
        near |= {other} if linked else set()
    return "is not in the largest stretch that streams: it gives other frames, or reads later ones"


def _backward(signals: Sequence[Signal], number: int) -> bool:
    operation = signals[_layer_of(signals, number)].operation
    return isinstance(operation, Recurrent) and operation.layer.backward


def _host(traced: Traced, program: Program, lowered: Lowered, ports: Ports) -> Host:
    signals, space = traced.recorder.signals, traced.recorder.space
    read = lowered.inputs.read.union(*(vector.read for _, _, vector in lowered.states))
    count = signals[lowered.outputs[0]].frames
    found = []
    for name in traced.ends:
        port = Port.of(name, np.asarray(traced.results[name]), space)
        assert port is not None
        states = {
            one: (lowered.layers[_layer_of(signals, one)], _state_name(signals[one]))
            for one in port.vector.read
        }
        found.append(End(port, states))
    return Host(
        program,
        {one: _found(ports.source(one), signals[one]) for one in read},
        lowered.inputs,
        {one: count - signals[one].frames for one in read},
        lowered.states,
        ports.made_of(lowered.outputs),
        tuple((one, signals[one].size) for one in lowered.outputs),
        tuple(found),
        tuple(traced.results),
    )


def _found(port: Port | None, signal: Signal) -> Port:
    if port is None:
        raise UserError(
            f"{signal.where} gives what no tensor of the network holds as a whole: keep it in one "
            "tensor (time, values)"
        )
    return port


def _state_name(signal: Signal) -> str:
    operation = signal.operation
    if isinstance(operation, Output):
        return operation.name
    assert isinstance(operation, Recurrent)
    return operation.layer.cell.outputs[0]
