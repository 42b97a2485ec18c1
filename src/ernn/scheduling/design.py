"""The free choices of an accelerator. A design changes cycles and area, never an integer."""

from dataclasses import dataclass

from ernn.errors import UserError


@dataclass(frozen=True)
class Design:
    """`pes`: block rows multiplied in parallel; `streams`: independent sequences interleaved;
    `chunk`: lines the vector unit takes through one step before the next step begins; `lanes`:
    numbers of a word the vector unit takes a cycle, a power of two (0, or more than the block size:
    the whole word).

    `splits`: groups of `pes` processing elements that share the columns of a row; `words`: words
    side by side, a
    *line*: result buses, transforms each way, and what the vector unit and the streams take a
    cycle; it divides `pes` and `splits`.  `overlap`: chunks that the vector unit works on at a
    time.  `staggered`: the last streams' later stages run in the next round, beside its first ones.
    `deferred`: gates that are needed later than others (an LSTM's o, a GRU's z) are computed after
    all of those, which shortens what follows the last pass, if all lines may be under way at once.
    `shallow`: pipelines with fewer registers (`ernn.scheduling.timing.SHALLOW`), for devices fast
    against their clock: a frame takes fewer cycles.  `direct`: for an engine that fills its device
    (`ernn.scheduling.timing.DIRECT`), deep pipelines, but what a memory or multiplier of the array
    gives goes straight into logic, and what crosses the device has one register more.  `tail`:
    where the last few words of an element's bank would take a whole row of block RAMs for
    themselves, bits of them that are in block RAM, the others being made of logic: 72 are two of
    ECP5's. `parity`: every word of weights has a parity bit, and the engine a port that tells when
    a word has changed."""

    pes: int
    streams: int = 1
    chunk: int = 16
    lanes: int = 0
    splits: int = 1
    words: int = 1
    overlap: int = 1
    staggered: bool = False
    deferred: bool = False
    shallow: bool = False
    direct: bool = False
    tail: int = 72
    parity: bool = False

    def __post_init__(self) -> None:
        limits = {
            "pes": (1, 512),
            "streams": (1, 16),
            "chunk": (1, 256),
            "lanes": (0, 32),
            "splits": (1, 64),
        }
        for name, (low, high) in {
            **limits,
            "words": (1, 16),
            "overlap": (1, 16),
            "tail": (1, 1024),
        }.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"a design's {name} must be {low}..{high}, not {value}")
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
        if self.staggered and self.streams == 1:
            raise UserError("a staggered design needs at least 2 streams, not 1")
        if self.shallow and self.direct:
            raise UserError(
                "a design is shallow or direct, not both: shallow pipelines are direct already"
            )

    @property
    def elements(self) -> int:
        """All processing elements."""
        return self.pes * self.splits

    def vector_lanes(self, block: int) -> int:
        """Lanes of the vector unit for words of `block` numbers."""
        return min(self.lanes or block, block)


def multipliers_per_pe(block: int) -> int:
    """Real multipliers of one processing element: 2 real bins and k/2 - 1 complex ones of 3
    products.
    """
    return 1 if block == 1 else 2 + 3 * (block // 2 - 1)
