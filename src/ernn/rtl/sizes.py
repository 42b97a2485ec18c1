"""What every part of an engine knows of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from amaranth import Cat, Const, Module, Value

from ernn.ir.edges import data_bits, operand_bits
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design
from ernn.scheduling.lines import address_bits
from ernn.scheduling.memory_map import ARRIVALS
from ernn.scheduling.schedule import Schedule
from ernn.scheduling.timing import Pipeline

Probe = Callable[[Module, str, Value, Value, Value], None]
"""Shows a write: name of the probe, enable, address, word."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """Widths in bits, and counts, of one schedule's engine."""

    schedule: Schedule

    @property
    def model(self) -> IntegerModel:
        return self.schedule.layout.model

    @property
    def design(self) -> Design:
        return self.schedule.layout.design

    @property
    def pipeline(self) -> Pipeline:
        return self.schedule.timing.pipeline

    @property
    def block(self) -> int:
        """Numbers of a word."""
        return self.model.block

    @property
    def width(self) -> int:
        """Bits of a number."""
        return data_bits(self.model)

    @property
    def word(self) -> int:
        """Bits of a word."""
        return self.block * self.width

    @property
    def operand(self) -> int:
        """Bits of a number that the array multiplies."""
        return operand_bits(self.model)

    @property
    def words(self) -> int:
        """Words of a line."""
        return self.design.words

    @property
    def line(self) -> int:
        """Bits of a line."""
        return self.words * self.word

    @property
    def streams(self) -> int:
        return self.design.streams

    @cached_property
    def place(self) -> int:
        """Of a spectrum's place in a bank, in its ring's first copy."""
        return address_bits(self.schedule.layout.spectra.places)

    @cached_property
    def slot(self) -> int:
        """The same, of a line's place over all banks."""
        spectra = self.schedule.layout.spectra
        return address_bits(spectra.places * spectra.turns)

    @cached_property
    def row(self) -> int:
        """Of the number of a product's result."""
        return address_bits(self.schedule.layout.gates_total * self.block)

    @cached_property
    def copy(self) -> int:
        """Of the number that tells the frames apart that are kept."""
        most = max(ring.copies for ring in self.schedule.layout.spectra.rings)
        kept = max(most, ARRIVALS) if self.schedule.layout.arrival_lines else most
        return address_bits(kept)

    @cached_property
    def remembered(self) -> int:
        """Frames before this one that something may read, at least 1."""
        delays = (o.delay for product in self.schedule.layout.products for o in product.operands)
        return max(1, *delays)

    @property
    def missing(self) -> int:
        """Of the number of those that a sequence does not have."""
        return self.remembered.bit_length()


def sized(value: Value, width: int) -> Value:
    """Exactly `width` bits."""
    return value[:width] if len(value) >= width else Cat(value, Const(0, width - len(value)))


def part(value: Value, number: int, width: int) -> Value:
    """The `number`-th of several parts of `width` bits."""
    return value[number * width : (number + 1) * width]


def late_name(rounds: int) -> str:
    """What a name says of how late something is."""
    return f"_late{rounds}" if rounds else ""
