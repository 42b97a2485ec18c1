"""What automatic compression chooses from: widths, structures, bits, and what they cost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, inf, prod
from typing import ClassVar

from ernn.compress.grids import Uniform
from ernn.compress.methods.quantized import Quantized
from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.ir.structure import BLOCK_SIZES, BlockCirculant, Dense, Signed, Structure
from ernn.nn.spec import ModelSpec
from ernn.search.cost import Shape, shapes

BITS = (12, 8, 6, 5, 4, 3)
"""Numbers of bits of a weight to choose from, the most first."""
UNIFORM_BITS = 12
"""Bits of a weight of the rival, one block size for all matrices."""
GRAIN = 8
"""A layer that is cut keeps a multiple of this many units: blocks up to it need no padding."""


@dataclass(frozen=True)
class Candidate:
    """Numbers of `bits` bits in the structure `inner`; of blocks it is
    their spectra, which are stored.
    """

    inner: Structure
    bits: int

    @property
    def form(self) -> Structure:
        """The structure without its bits."""
        return self.inner

    @property
    def grid(self) -> Uniform:
        return Uniform(self.bits)

    @property
    def structure(self) -> Structure:
        if isinstance(self.inner, Signed):
            return replace(self.inner, inner=Candidate(self.inner.inner, self.bits).structure)
        return Quantized(self.inner, self.grid, spectra=isinstance(self.inner, BlockCirculant))

    def stored_bits(self, shape: tuple[int, ...]) -> int:
        """Bits that a matrix takes; UserError where the structure does not fit it."""
        return self.structure.bits(shape, self.bits)

    def __str__(self) -> str:
        match self.inner:
            case Dense():
                inner = "dense"
            case BlockCirculant(block):
                inner = f"blocks of {block}"
            case Signed(inner=BlockCirculant(block)):
                inner = f"signed blocks of {block}"
            case _:
                inner = str(self.inner)
        return f"{inner}, {self.bits} bits"


@dataclass(frozen=True)
class Units:
    """The `count` largest units of a recurrent layer (`ernn.compress.hidden_units.narrowed`)."""

    count: int
    bits: ClassVar[int] = 0  # none of its own: matrices are what is rounded

    @property
    def form(self) -> "Units":
        return self

    def __str__(self) -> str:
        return f"{self.count} units"


Option = Candidate | Units


@dataclass(frozen=True)
class Width:
    """Of a recurrent layer, the widest option first."""

    name: str
    options: tuple[Units, ...]


@dataclass(frozen=True)
class Part:
    """A matrix and its candidates, the mildest first."""

    shape: Shape
    options: tuple[Candidate, ...]

    @property
    def name(self) -> str:
        return self.shape.name

    def stored_bits(self, candidate: Candidate) -> int:
        return candidate.stored_bits(self.shape.shape)


Pick = tuple[Option, ...]
"""An option for every part of a space."""
Price = Callable[[ModelSpec, CompressionPlan], float]
"""What a network in a plan's sets costs, in the budget's unit; infinite where it cannot be had."""


@dataclass(frozen=True, eq=False)
class Space:
    """Every pick there is, and the budget: those whose price is at most `limit` fit.

    widths: of every recurrent layer of `model`, or none: then all layers stay as they are.
    """

    model: ModelSpec
    matrices: tuple[Part, ...]
    pricing: Price
    limit: float
    widths: tuple[Width, ...] = ()
    _prices: dict[Pick, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if empty := [part.name for part in self.parts if not part.options]:
            raise UserError(f"no structure that was given fits {empty[0]}")

    @property
    def parts(self) -> tuple[Width | Part, ...]:
        """Everything that takes an option."""
        return (*self.widths, *self.matrices)

    @cached_property
    def mildest(self) -> Pick:
        return tuple(part.options[0] for part in self.parts)

    @cached_property
    def cheapest(self) -> Pick:
        """Of what stores least, and what all matrices can have alike: it fits if any of it does."""
        return min(_harshest(self), key=self.price)

    @property
    def size(self) -> int:
        """Number of picks."""
        return prod(len(part.options) for part in self.parts)

    def units(self, pick: Pick) -> tuple[int, ...] | None:
        """How many each layer keeps; None where widths are no choice."""
        return tuple(one.count for one in pick if isinstance(one, Units)) or None

    def assigned(self, pick: Pick) -> list[tuple[Part, Candidate]]:
        """Each matrix's candidate in a pick."""
        return list(
            zip(self.matrices, (one for one in pick if isinstance(one, Candidate)), strict=True)
        )

    def spec(self, pick: Pick) -> ModelSpec:
        """The network of a pick before compression, its layers cut."""
        units = self.units(pick)
        return self.model if units is None else self.model.with_units(units)

    def plan(self, pick: Pick) -> CompressionPlan:
        pairs = self.assigned(pick)
        return CompressionPlan(
            overrides=tuple((part.name, candidate.structure) for part, candidate in pairs)
        )

    def widest(self) -> "Space":
        """Every layer at full width: for ways that choose no widths.
        UserError if nothing of it fits.
        """
        found = replace(
            self, widths=tuple(replace(one, options=one.options[:1]) for one in self.widths)
        )
        _require_possible(found)
        return found

    def price(self, pick: Pick) -> float:
        if pick not in self._prices:
            self._prices[pick] = self.pricing(self.spec(pick), self.plan(pick))
        return self._prices[pick]

    def stored(self, pick: Pick) -> float:
        """Bytes of its matrices."""
        return stored_bytes(self.spec(pick), self.plan(pick))

    def fits(self, pick: Pick) -> bool:
        return self.price(pick) <= self.limit

    def changed(self, pick: Pick, index: int, option: Option) -> Pick:
        """The pick with another option for part `index`."""
        return (*pick[:index], option, *pick[index + 1 :])

    def neighbours(self, pick: Pick) -> Iterator[Pick]:
        """Picks that differ in one part."""
        for index, part in enumerate(self.parts):
            yield from (
                self.changed(pick, index, other) for other in part.options if other != pick[index]
            )

    def describe(self, pick: Pick) -> dict[str, str]:
        """Options by their part's name, in words."""
        return {part.name: str(option) for part, option in zip(self.parts, pick, strict=True)}


def space_of(
    model: ModelSpec,
    inners: Sequence[Structure],
    bits: Sequence[int],
    pricing: Price,
    limit: float,
    widths: Sequence[float] = (1.0,),
) -> Space:
    """The space of a network.

    widths: shares of a layer's units to choose from; with 1 alone layers stay as they are.
    UserError where a structure fits no matrix, and where even the harshest pick is above the limit.
    """
    layers = _widths(model, widths) if set(widths) != {1.0} else ()
    widest = model.with_units([one.options[0].count for one in layers]) if layers else model
    parts = tuple(Part(one, _options(one, inners, bits)) for one in shapes(widest))
    space = Space(model, parts, pricing, limit, layers)
    _require_possible(space)
    return space


def _widths(model: ModelSpec, shares: Sequence[float]) -> tuple[Width, ...]:
    if wrong := [one for one in shares if not 0 < one <= 1]:
        raise UserError(
            f"widths are shares of a layer's units, above 0 and at most 1, not {wrong[0]:g}"
        )
    found = []
    for index, layer in enumerate(model.layers):
        wanted = (
            GRAIN * ceil(max(1, round(share * layer.hidden)) / GRAIN)
            for share in sorted(shares, reverse=True)
        )
        counts = dict.fromkeys(min(layer.hidden, count) for count in wanted)
        found.append(Width(f"recurrent.{index}", tuple(Units(count) for count in counts)))
    return tuple(found)


def _options(
    matrix: Shape, inners: Sequence[Structure], bits: Sequence[int]
) -> tuple[Candidate, ...]:
    found: dict[Candidate, int] = {}
    for candidate in (
        Candidate(inner, width) for inner in inners for width in sorted(bits, reverse=True)
    ):
        try:
            found[candidate] = candidate.stored_bits(matrix.shape)
        except UserError:
            continue  # a size that the structure does not divide
    return tuple(sorted(found, key=lambda one: -found[one]))


def _require_possible(space: Space) -> None:
    least = space.price(space.cheapest)
    if least > space.limit:
        raise UserError(
            f"even the harshest choice takes {least:,.0f}, the budget is {space.limit:,.0f}: raise "
            "it, or allow larger blocks, fewer bits or narrower layers"
        )


def _harshest(space: Space) -> Iterable[Pick]:
    """Of each part the option that stores least; and, with the narrowest
    layers, what all can take alike.
    """
    yield tuple(part.options[-1] for part in space.parts)
    for candidate in space.matrices[0].options:
        if all(candidate in part.options for part in space.matrices):
            yield (*(one.options[-1] for one in space.widths), *(candidate for _ in space.matrices))


def blocks(sizes: Sequence[int], signed: bool = False) -> tuple[Structure, ...]:
    """Structures by their block size, 1 is dense; padding is allowed. signed: see
    `CompressionPlan.blocks`."""
    if wrong := sorted(set(sizes) - set(BLOCK_SIZES)):
        raise UserError(f"block sizes are of {BLOCK_SIZES}, not {wrong[0]}")
    return tuple(CompressionPlan.blocks(size, signed=signed).recurrent for size in sorted(sizes))


def uniform(
    block: int, bits: int = UNIFORM_BITS, output: int = 1, signed: bool = False
) -> CompressionPlan:
    """One block size for all matrices of recurrent layers, `output` for the others; one width."""
    inner, outer = (
        Candidate(blocks([size], signed)[0], bits).structure for size in (block, output)
    )
    return CompressionPlan(inner, inner, inner, outer)


def stored_bytes(model: ModelSpec, plan: CompressionPlan) -> float:
    """Bytes of all weight matrices, scales and padding counted; biases and states are apart."""
    try:
        return (
            sum(
                plan.structure(one.name, one.role).bits(one.shape, UNIFORM_BITS)
                for one in shapes(model)
            )
            / 8
        )
    except UserError:
        return inf  # a structure that a narrow layer is too small for
