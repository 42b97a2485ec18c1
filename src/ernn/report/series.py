"""What the report draws: typed values, each kept in the record as `series.<NAME>`.

`put(record, value)` stores one, `take(record, Type)` reads it back or returns None; the page
says "not run" for None. On disk a value is the same thing in JSON: a dataclass is an object,
a tuple an array.  Every series that holds figures carries the kind and the tool they come
from (see `ernn.report.record.Measurement`).
"""

from dataclasses import asdict, dataclass
from typing import ClassVar, TypeVar

from ernn.errors import UserError
from ernn.ground.plain import decode
from ernn.report.record import KINDS, Kind, RunRecord


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


MOST_GATES, MOST_BITS, MOST_FRAC = 4096, 64, 1100


@dataclass(frozen=True)
class Item:
    """A name and what it was: ("device", "LFE5U-85F, speed grade 6")."""

    name: str
    value: str


@dataclass(frozen=True)
class About:
    """The run in words: the page's title, what was asked, on what machine, by which commands.

    `summary`: one or two sentences under the title. `asked`: task, model, block size, bits, device,
    streams, limit of accuracy. `environment`: versions of Python and of each tool, processor.
    `commands`: as typed, in order.
    """

    NAME: ClassVar[str] = "about"
    title: str
    summary: str
    asked: tuple[Item, ...] = ()
    environment: tuple[Item, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sourced:
    """Every figure of the series was obtained in this way."""

    kind: Kind
    tool: str

    def __post_init__(self) -> None:
        _require(self.kind in KINDS, f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        _require(bool(self.tool), "a series names the tool that gave it: `tool` is empty")


@dataclass(frozen=True)
class SizeRow:
    """One form of the network ("dense", "compressed", "integer").

    `weights`: numbers stored in all matrices, padding counted; `recurrent_weights`: in the
    recurrent layers only; `bits`: of one weight, in the mean; `multiplications`: real ones in the
    matrix products of one frame, transforms apart.
    """

    name: str
    weights: int
    recurrent_weights: int
    bits: float
    multiplications: int


@dataclass(frozen=True)
class Sizes(_Sourced):
    """Size and operations, first row the one compared with."""

    NAME: ClassVar[str] = "sizes"
    rows: tuple[SizeRow, ...]


@dataclass(frozen=True)
class MatrixConvergence:
    """`values[i]`: ‖W−Z‖/‖W‖ (Frobenius) of one matrix after ADMM
    update i; 0 is drawn at the floor.
    """

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Convergence(_Sourced):
    """ADMM's residual per matrix."""

    NAME: ClassVar[str] = "convergence"
    matrices: tuple[MatrixConvergence, ...]


@dataclass(frozen=True)
class MatrixBits:
    """A weight matrix as stored: `gates` matrices (rows, columns), block size, numbers and bits."""

    name: str
    gates: int
    rows: int
    columns: int
    block: int
    stored: int
    bits: int

    def __post_init__(self) -> None:
        sizes = (self.gates, self.rows, self.columns, self.block, self.stored, self.bits)
        drawn = self.gates <= MOST_GATES and max(sizes) < 1 << 53
        _require(
            min(sizes) > 0 and drawn, f"{self.name!r}: {sizes} are not sizes that can be drawn"
        )


@dataclass(frozen=True)
class LayerPicture:
    """A layer: `type` as read ("LSTM", "GRU, reset after", "linear"), sizes, its matrices."""

    name: str
    type: str
    inputs: int
    outputs: int
    matrices: tuple[MatrixBits, ...]


@dataclass(frozen=True)
class EdgeFormat:
    """A named edge of the integer model: sign, width and fraction bits.

    Where measured, against the floats: `saturated`, the share of values (0..1) at the ends of the
    format; `snr`, signal to quantization noise in dB; `largest`, the largest error.
    """

    name: str
    signed: bool
    width: int
    frac: int
    saturated: float | None = None
    snr: float | None = None
    largest: float | None = None

    def __post_init__(self) -> None:
        _require(
            0 < self.width <= MOST_BITS and abs(self.frac) <= MOST_FRAC,
            f"{self.name!r}: {self.width} bits, {self.frac} of them fractions, is no format",
        )


@dataclass(frozen=True)
class NetworkPicture(_Sourced):
    """The network in order, where its bits go, and the format of every edge."""

    NAME: ClassVar[str] = "network"
    layers: tuple[LayerPicture, ...]
    edges: tuple[EdgeFormat, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Precision(_Sourced):
    """Integers against floats on frames that chose no formats.

    `concern`: what is not good enough, and what to do; empty where nothing is. `worst`: the edge
    with the largest error; `over_time`: that error in equal stretches of the longest utterance.
    """

    NAME: ClassVar[str] = "precision"
    concern: str
    worst: str
    over_time: tuple[float, ...]


@dataclass(frozen=True)
class HostedRow:
    """An operation that stays on the host: what it is in the user's words, whether "before" the
    accelerator or "after" it, why, and its multiplications by weights in a frame.
    """

    name: str
    when: str
    why: str
    multiplications: int


@dataclass(frozen=True)
class Hosted(_Sourced):
    """What of a network stays on the host; nothing where it has no rows."""

    NAME: ClassVar[str] = "hosted"
    rows: tuple[HostedRow, ...]


@dataclass(frozen=True)
class Token:
    """A phone, digit or word. `start`, `end` in frames (end exclusive),
    None where no alignment is known.
    """

    label: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Utterance:
    """Features [frame][coefficient] (lowest first), the truth, and what
    the integer network recognised.
    """

    id: str
    features: tuple[tuple[float, ...], ...]
    truth: tuple[Token, ...]
    recognised: tuple[Token, ...]

    def __post_init__(self) -> None:
        widths = {len(frame) for frame in self.features}
        _require(
            len(widths) == 1,
            f"utterance {self.id!r}: every frame needs as many coefficients, found {widths}",
        )


@dataclass(frozen=True)
class Utterances(_Sourced):
    """One to three utterances, or other sequences with labels, to show. `feature`: of the picture
    ("13 MFCCs"); `frame_ms`: hop, None where it is not known: then time is counted in frames."""

    NAME: ClassVar[str] = "utterances"
    corpus: str
    feature: str
    frame_ms: float | None
    items: tuple[Utterance, ...]


@dataclass(frozen=True)
class DecisionRow:
    """Of a class, or of what is detected: how often it was true, said, and rightly said."""

    name: str
    true: int
    said: int
    hits: int


@dataclass(frozen=True)
class Decisions(_Sourced):
    """What was decided on the test set. `confusion`: of classes, [true class][class said]."""

    NAME: ClassVar[str] = "decisions"
    rows: tuple[DecisionRow, ...]
    confusion: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Trace:
    """What a network said of one of the numbers asked for, beside what was right; as many of each:
    one a frame, or one a sequence."""

    name: str
    truth: tuple[float, ...]
    said: tuple[float, ...]


@dataclass(frozen=True)
class Traced:
    """The traces of one sequence, or of all, where each has but one number."""

    id: str
    traces: tuple[Trace, ...]


@dataclass(frozen=True)
class Traces(_Sourced):
    """Sequences to show, of numbers a frame; or one item of numbers a sequence: then `scattered`.
    `frame_ms`: as of `Utterances`."""

    NAME: ClassVar[str] = "traces"
    scattered: bool
    frame_ms: float | None
    items: tuple[Traced, ...]


@dataclass(frozen=True)
class ScheduleBar:
    """`unit` is busy in cycles [start, end) for `stream`, on `label` (such as "lstm0 gates")."""

    unit: str
    start: int
    end: int
    label: str
    stream: int = 0

    def __post_init__(self) -> None:
        _require(
            self.start < self.end,
            f"a bar of {self.unit!r} must end after it starts: [{self.start}, {self.end})",
        )
        _require(
            max(abs(self.start), abs(self.end)) < 1 << 53,
            f"a bar of {self.unit!r} is beyond all cycles: [{self.start}, {self.end})",
        )


@dataclass(frozen=True)
class Schedule(_Sourced):
    """The engine over time. `units`: rows from top to bottom ("MAC array", "inverse FFT", "vector
    unit", "FFT", "output"); one round, the part that repeats, is cycles [round_start, round_end);
    `frames` are done in each. `bars` must hold everything that happens within the round, work begun
    before it too; what lies outside is drawn, but not counted as busy."""

    NAME: ClassVar[str] = "schedule"
    units: tuple[str, ...]
    bars: tuple[ScheduleBar, ...]
    round_start: int
    round_end: int
    frames: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.round_start < self.round_end, "a round must end after it starts")
        unknown = sorted({bar.unit for bar in self.bars} - set(self.units))
        _require(not unknown, f"bars of units that `units` does not name: {', '.join(unknown)}")


@dataclass(frozen=True)
class DesignRow:
    """One design: what it is, what it gives (exact cycles, an assumed clock), its predicted area.

    `share`: the largest share of a resource, 0..1; `best`: the one
    chosen; `front`: on the Pareto front; `pipeline`: in words, with forwarding and a head once.
    """

    pes: int
    splits: int
    words: int
    lanes: int
    streams: int
    chunk: int
    multipliers: int
    cycles_per_frame: float
    latency_cycles: int
    utilisation: float
    clock_mhz: float
    fps: float
    latency_us: float
    lut: int
    ff: int
    dsp: int
    block_ram: int
    share: float
    best: bool
    front: bool
    pipeline: str = "deep"


@dataclass(frozen=True)
class Designs(_Sourced):
    """The chosen design among those that fit. `goal`: throughput or latency; `limits`: what may be
    used, by resource; `clock`: what the assumed clock rests on; `complete`: whether anything that
    could be better was looked at."""

    NAME: ClassVar[str] = "designs"
    device: str
    goal: str
    margin: float
    clock: str
    complete: bool
    limits: tuple[Item, ...]
    rows: tuple[DesignRow, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(sum(row.best for row in self.rows) == 1, "one design is the best")


@dataclass(frozen=True)
class AreaRow:
    """One resource ("LUT", "FF", "DSP", "BRAM"): used, and what the device has in the same unit."""

    resource: str
    used: float
    available: float


@dataclass(frozen=True)
class Area(_Sourced):
    """One device's fill; `note`: what a reader must know (a proxy family, an unplaced netlist)."""

    device: str
    rows: tuple[AreaRow, ...]
    note: str = ""


@dataclass(frozen=True)
class Areas:
    """The design on one device or several, first the one asked for."""

    NAME: ClassVar[str] = "areas"
    tables: tuple[Area, ...]


@dataclass(frozen=True)
class Power(_Sourced):
    """What the power on `device` rests on, a sentence each; its figures are `power.*`."""

    NAME: ClassVar[str] = "power"
    device: str
    assumptions: tuple[str, ...]


@dataclass(frozen=True)
class ClockRun:
    """One place-and-route seed and the clock it reached."""

    seed: int
    mhz: float


@dataclass(frozen=True)
class Clocks(_Sourced):
    """Clock per seed on `device`; `constraint_mhz`: what the placer was asked for."""

    NAME: ClassVar[str] = "clocks"
    device: str
    runs: tuple[ClockRun, ...]
    constraint_mhz: float | None = None


@dataclass(frozen=True)
class Fault:
    """A corruption made on purpose and its report: ("one weight word",
    "lstm0.gates, step 3, lane 5").
    """

    injected: str
    reported: str


@dataclass(frozen=True)
class Proof:
    """How the comparison ran; its counts are the measurements `verify.*`.

    `digest`: of the integer model. `edges`: named edges compared. `stalls`: the stimulus in
    words (probability on either handshake, seed). `streams`: interleaved. `first_divergence`:
    empty when everything was equal. `saturating`: states, and the share of their values at the
    ends of their formats.
    """

    NAME: ClassVar[str] = "proof"
    digest: str
    edges: tuple[str, ...]
    stalls: str
    streams: int = 1
    first_divergence: str = ""
    faults: tuple[Fault, ...] = ()
    saturating: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of the run and its wall-clock time."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Timings(_Sourced):
    """Where the run's time went."""

    NAME: ClassVar[str] = "timings"
    steps: tuple[Step, ...]


Series = (
    About
    | Sizes
    | Convergence
    | NetworkPicture
    | Precision
    | Hosted
    | Utterances
    | Decisions
    | Traces
    | Schedule
    | Designs
    | Areas
    | Power
    | Clocks
    | Proof
    | Timings
)
S = TypeVar("S", bound=Series)


def put(record: RunRecord, series: Series) -> None:
    """Store a series in the record, replacing the one of its type."""
    record.set_series(series.NAME, asdict(series))


def take(record: RunRecord, of: type[S]) -> S | None:
    """The record's series of that type, or None; UserError where it has another shape."""
    plain = record.series(of.NAME)
    return None if plain is None else decode(f"series.{of.NAME}", of, plain)
