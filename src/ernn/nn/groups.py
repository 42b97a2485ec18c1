"""Which of a table's reads are one product: one weight times vectors one below the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from ernn.ir.cell import Read
from ernn.nn.spectra import spectra
from ernn.nn.table import Table


@dataclass(frozen=True)
class Extent:
    """What a pass runs over.

    rows: units of a gate of each product.
    lengths: of each step.
    inputs: units of each.
    spectral: which weights, in the order of the regions' reads, are spectra of blocks of `block`.
    batch: columns, as many as fill vectors.
    keep: whether there will be a way back; through: whether to the inputs.
    """

    rows: tuple[tuple[str, int], ...]
    lengths: tuple[tuple[str, int], ...]
    inputs: tuple[tuple[str, int], ...]
    spectral: tuple[bool, ...]
    block: int
    time: int
    batch: int
    keep: bool
    through: bool


@dataclass(frozen=True)
class Reading:
    """One of all reads of all regions: its number, and of how many units it is."""

    number: int
    read: Read
    units: int


@dataclass(frozen=True)
class Group:
    """Reads of a region that are one product, those of inputs first. block: 1 for a dense one.
    adds: to what the region holds already.
    """

    number: int
    region: int
    stage: int
    inputs: tuple[Reading, ...]
    steps: tuple[Reading, ...]
    block: int
    adds: bool

    @property
    def reads(self) -> tuple[Reading, ...]:
        return (*self.inputs, *self.steps)

    @property
    def spectra(self) -> int:
        """Numbers of a block's spectrum."""
        return spectra(self.block)

    @property
    def columns(self) -> list[int]:
        """Where each read begins among the weight's columns, and behind the last."""
        counts = (-(-one.units // self.block) for one in self.reads)
        return list(accumulate(counts, initial=0))

    @property
    def direct(self) -> bool:
        """Whether it reads a step where that is."""
        return self.block == 1 and not self.inputs and len(self.steps) == 1

    @property
    def late(self) -> int:
        """Frames between a step and the product that reads it, at most."""
        return max((one.read.delay for one in self.steps), default=0)


def groups(made: Table, extent: Extent) -> Iterator[Group]:
    """Of each region a dense product and one of spectra, where it has both."""
    units = dict(extent.lengths) | dict(extent.inputs)
    number = count = 0
    for index, region in enumerate(made.regions):
        reads = [Reading(number + n, one, units[one.name]) for n, one in enumerate(region.reads)]
        number, adds = number + len(reads), False
        for spectral in (False, True):
            some = [one for one in reads if extent.spectral[one.number] == spectral]
            inputs = tuple(one for one in some if made.is_input(one.read))
            steps = tuple(one for one in some if not made.is_input(one.read))
            if some:
                block = extent.block if spectral else 1
                yield Group(count, index, region.stage, inputs, steps, block, adds)
                count, adds = count + 1, True
