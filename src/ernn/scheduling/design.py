"""The free choices of an accelerator. A design changes cycles and area, never an integer."""

from dataclasses import dataclass
from typing import Literal, get_args

from ernn.errors import UserError

PipelineName = Literal["deep", "direct", "shallow"]

PORTS = (18, 27)
PACKED_WEIGHT_BITS, PACKED_DATA_BITS = 8, 9

_LIMITS = {
    "pes": (1, 512),
    "streams": (1, 16),
    "chunk": (1, 256),
    "lanes": (0, 64),
    "splits": (1, 64),
    "words": (1, 16),
    "overlap": (1, 16),
    "tail": (1, 1024),
    "joined": (1, 4),
}


@dataclass(frozen=True)
class Design:
    """An engine's sizes and the order of its work.

    A *word* is as many numbers as the network's largest block; a *line* is `words` of them side by
    side.  Raises UserError for a value outside its range, or values that exclude each other.

    >>> design = Design(pes=6, streams=2, lanes=4, staggered=True)
    >>> design.elements, design.vector_lanes(16), design.pipeline
    (6, 4, 'deep')
    >>> Design(pes=3, words=2)
    Traceback (most recent call last):
    ernn.errors.UserError: a design's words (2) must divide its pes (3)
    """

    pes: int
    """Block rows multiplied at the same time by a group's processing elements; 1 to 512."""
    streams: int = 1
    """Independent sequences interleaved, of each a frame a round; 1 to 16."""
    chunk: int = 16
    """Lines the vector unit takes through one step before the next step begins; 1 to 256."""
    lanes: int = 0
    """Numbers of a word the vector unit takes a cycle, a power of two up to 64; 0, or more than the
    block size, is the whole word."""
    splits: int = 1
    """Groups of `pes` elements that share the columns of a row; 1 to 64, a multiple of `words`."""
    words: int = 1
    """Words of a line: result buses, transforms each way, and what the vector unit and the streams
    take a cycle; 1 to 16, a divisor of `pes` and `splits`."""
    overlap: int = 1
    """Chunks that the vector unit works on at a time; 1 to 16."""
    staggered: bool = False
    """Whether the last streams' later stages run in the next round, beside its first ones, and of
    a lone stream every layer a round after the one before: more frames a second, a longer wait for
    a single one."""
    deferred: bool = False
    """Whether gates that are needed later than others (an LSTM's o, a GRU's z) are computed after
    all of those: less is left to do after the last pass, if all lines may be under way at once."""
    pipeline: PipelineName = "deep"
    """Registers on the ways between units (`ernn.scheduling.timing`): "deep" for the clock on ECP5;
    "direct" for an engine that fills its device, where what a memory or multiplier of the array
    gives goes straight into logic, and what crosses the device has one more; "shallow" for devices
    that are fast against their clock: a frame takes fewer cycles."""
    tail: int = 72
    """Of the last few words of an element's bank, where they would take a row of block RAMs for
    themselves: bits that are in block RAM, the others being made of logic; 72 are two of ECP5's."""
    block_ram: bool = False
    """Whether banks of weights are in block RAM, small as they may be. Otherwise synthesis makes
    those of few bits of logic, and an address goes to a hundred tables an element, not to one
    block."""
    packed: int = 0
    """Bits of a multiplier's wider operand (18 on ECP5, 27 on UltraScale) in which the weights of
    two elements lie side by side, so that it makes two products a cycle; 0: one. For weights of at
    most 8 bits and spectra of at most 9, whatever else (a cell) has more; `pes` is a multiple of
    twice `words` then."""
    joined: int = 1
    """Elements of consecutive rows whose weights lie in one bank, side by side, the first of which
    hands the others theirs; 1 to 4. A block RAM gives 36 bits a cycle: where a word of weights has
    far fewer, as in dense networks, elements that join take fewer of them. Not in a packed design,
    where two have a bank already."""
    forwarding: bool = False
    """Whether a step may take what the array or the vector unit has just made on its way to memory:
    a choice more before a register, four cycles less (three in shallow pipelines) for each step
    that waits for another. In pipelines other than "direct"."""
    ahead: bool = False
    """Whether a lone stream's products are begun with what is there first: of each row the sum over
    the input, or in later layers over the frame before, is kept in its element until the rest is
    known; and of a projection's or a head's rows the sum over what its layer has given so far. A
    small memory of sums an element, or of a large array's each bus in shallow pipelines."""
    beforehand: bool = False
    """Whether the sums over the frame before, which a lone stream's products with the input take,
    are made in that frame's round: a frame has a shorter latency, and the next follows later. In
    shallow pipelines; states that do not begin with zeros are left out."""
    once: bool = False
    """Whether the head of a network that gives only a sequence's last outputs
    (`IntegerModel.last_step`), which no later frame waits for, is run for that frame alone: a lone
    stream's frames follow each other sooner, and packets of the engine's input end with sequences.
    """
    parity: bool = False
    """Whether every word of weights has a parity bit, and the engine a port that tells when a word
    has changed."""

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise UserError(f"a design's {name} must be {low}..{high}, not {value!r}")
        if self.lanes & (self.lanes - 1):
            raise UserError(
                f"a design's lanes must be a power of two, or 0 for a whole word, not {self.lanes}"
            )
        for name in ("pes", "splits"):
            if getattr(self, name) % self.words:
                raise UserError(
                    f"a design's words ({self.words}) must divide its {name} "
                    f"({getattr(self, name)})"
                )
        if self.packed not in (0, *PORTS):
            raise UserError(f"a design's packed must be 0, 18 or 27, not {self.packed}")
        if self.packed and self.pes // self.words % 2:
            raise UserError(
                f"a packed design's elements share multipliers in pairs: its pes ({self.pes}) must "
                f"be a multiple of twice its words ({self.words})"
            )
        if self.packed and self.joined > 1:
            raise UserError(
                "a packed design's elements have a bank in pairs already: take joined=1"
            )
        if self.pipeline not in get_args(PipelineName):
            names = ", ".join(get_args(PipelineName))
            raise UserError(f"a design's pipeline is one of {names}, not {self.pipeline!r}")
        if self.ahead and self.streams > 1:
            raise UserError(
                f"a design that begins products ahead has a lone stream, not {self.streams} "
                "streams, which fill each other's waits"
            )
        if self.beforehand and (self.streams > 1 or self.staggered or self.once):
            raise UserError(
                "a design that makes sums beforehand has a lone stream, is not staggered and runs "
                "every frame's head"
            )
        if self.beforehand and self.pipeline != "shallow":
            raise UserError(
                "a design that makes sums beforehand has shallow pipelines, where sums leave the "
                f"elements, not {self.pipeline!r} ones"
            )
        if self.once and (self.streams > 1 or self.staggered):
            raise UserError(
                "a design that runs a head once a sequence has a lone stream, and is not staggered"
            )
        if self.forwarding and self.pipeline == "direct":
            raise UserError(
                "a design with forwarding has deep or shallow pipelines, not 'direct' ones: "
                "results would cross the device to be taken on their way"
            )

    @property
    def elements(self) -> int:
        """All processing elements."""
        return self.pes * self.splits

    @property
    def sharing(self) -> int:
        """Elements that have a set of multipliers together."""
        return 2 if self.packed else 1

    @property
    def banks(self) -> dict[int, int]:
        """How many banks there are with the weights of so many elements.

        >>> Design(pes=14, splits=2, joined=3).banks
        {3: 8, 2: 2}
        """
        whole, rest = divmod(self.pes, self.sharing * self.joined)
        counts = {self.sharing * self.joined: whole * self.splits, rest: self.splits}
        return {elements: count for elements, count in counts.items() if elements and count}

    def vector_lanes(self, block: int) -> int:
        """Lanes of the vector unit for words of `block` numbers."""
        return min(self.lanes or block, block)


def multipliers_per_pe(block: int) -> int:
    """Real multipliers of one processing element: 2 real bins and k/2 - 1 complex ones of 3
    products.
    """
    return 1 if block == 1 else 2 + 3 * (block // 2 - 1)
