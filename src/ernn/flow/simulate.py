"""A Verilated design driven from Python: arrays of beats in; beats, probes and events out.

    simulator = build(to_verilog(engine))
    simulation = simulator.run(
        beats, expected_beats=100, stall_in=0.3, stall_out=0.3, seed=1, max_cycles=1_000_000
    )

The design's ports: `clk`, `rst` (synchronous, active high), AXI4-Streams `s_axis_*` in and
`m_axis_*` out with tdata, tvalid, tready, tlast, tuser (1 bit) and tid; any number of outputs
`probe_<name>_en`, `_addr`, `_data`; single outputs `event_<name>` or of any other name (`error`).
Cycle 0 is the first after reset.
"""

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from ernn.errors import UserError
from ernn.flow.beats import Beats
from ernn.flow.cache import Cache
from ernn.flow.compiled import event_ports, library, probe_names
from ernn.flow.native import Recording, Session
from ernn.flow.verilog import Verilog

# Cycles after the last expected beat in which a beat too many would show.
PAST_END_CYCLES = 64
Stall = float | NDArray[np.bool_]
_AXIS = ("tdata", "tvalid", "tready", "tlast", "tuser", "tid")


@dataclass(frozen=True, eq=False)
class ProbeWrites:
    """What a probe saw, in order: `cycle` [writes], `address` [writes], `data`
    [writes, bytes], lowest byte first.
    """

    cycle: NDArray[np.uint64]
    address: NDArray[np.uint64]
    data: NDArray[np.uint8]

    @property
    def toggles(self) -> int:
        """Bits that differ from those of the write before, over all writes."""
        return int(np.unpackbits(self.data[1:] ^ self.data[:-1]).sum())


@dataclass(frozen=True)
class Violation:
    """A rule of AXI4-Stream that the design's output broke, and when."""

    cycle: int
    rule: str


@dataclass(frozen=True, eq=False)
class Simulation:
    """All that a run recorded.

    `outputs` with the cycle of each handshake `output_cycle`; `input_cycle` when each beat that was
    accepted went in; `probes` and `events` (cycles) by name; AXI `violations` of the design's
    output; `cycles` from reset up to and with the last output beat; `seconds` of computing.
    """

    outputs: Beats
    output_cycle: NDArray[np.uint64]
    input_cycle: NDArray[np.uint64]
    probes: dict[str, ProbeWrites]
    events: dict[str, NDArray[np.uint64]]
    violations: tuple[Violation, ...]
    cycles: int
    seconds: float


class SimulationError(UserError):
    """The design sent too few beats or too many; `simulation` holds what it did send."""

    def __init__(self, message: str, simulation: Simulation) -> None:
        self.simulation = simulation
        super().__init__(message)


@dataclass(frozen=True)
class Simulator:
    """A compiled design. Runs share nothing: each is a fresh machine after reset."""

    verilog: Verilog
    path: Path

    @property
    def probes(self) -> tuple[str, ...]:
        """Names that `Simulation.probes` may hold."""
        return probe_names(self.verilog)

    @property
    def events(self) -> tuple[str, ...]:
        """Names that `Simulation.events` may hold."""
        return tuple(event_ports(self.verilog))

    def run(
        self,
        beats: Beats,
        *,
        expected_beats: int,
        max_cycles: int,
        stall_in: Stall = 0.0,
        stall_out: Stall = 0.0,
        seed: int = 0,
        record: Collection[str] | None = None,
        reset_at: int | None = None,
    ) -> Simulation:
        """Present `beats` in order; outputs until `expected_beats` came or `max_cycles` went by.

        `stall_in`, `stall_out`: probability in [0, 1) that an input beat is withheld, that an
        output beat is refused, in each cycle; or a pattern of flags [cycles], repeated.  An input
        beat once offered stays, as AXI demands. `record`: names of the probes and events to keep
        (None: all).  `reset_at`: in that cycle the design is reset, everything recorded is
        dropped, and the beats begin again from the first; the result must be that of a run without
        reset. Same arguments, same result.

        UserError for arguments that do not fit; SimulationError for missing or surplus beats.
        """
        self._check(beats, expected_beats, max_cycles)
        recorded = self._recorded(record)
        began = monotonic()
        with tempfile.TemporaryDirectory(prefix="ernn-memories-") as folder:
            for name, content in self.verilog.memories.items():
                (Path(folder) / name).write_bytes(content)
            stalls = (_stall(stall_in, "stall_in"), _stall(stall_out, "stall_out"))
            session = Session(self.path, folder, beats, stalls, seed, recorded, expected_beats)
        with session:
            if reset_at is not None:
                _reset(session, reset_at)
            cycles = _advance(session, max_cycles)
            recording = session.recording(len(self.probes))
        simulation = self._simulation(recording, cycles, monotonic() - began)
        _require_beats(simulation, len(beats), expected_beats, max_cycles)
        return simulation

    def _check(self, beats: Beats, expected_beats: int, max_cycles: int) -> None:
        width = self._width("s_axis_tdata")
        if beats.data.shape[1] != (width + 7) // 8:
            raise UserError(
                f"a beat of {width} bits (s_axis_tdata) is {(width + 7) // 8} bytes, not "
                f"{beats.data.shape[1]}"
            )
        if width % 8 and len(beats) and int(beats.data[:, -1].max()) >> width % 8:
            raise UserError(f"beats have bits above the {width} of s_axis_tdata")
        tid_bits = self._width("s_axis_tid")
        if len(beats) and int(beats.tid.max()) >> tid_bits:
            raise UserError(
                f"s_axis_tid has {tid_bits} bits and cannot hold stream {int(beats.tid.max())}"
            )
        if expected_beats < 1 or max_cycles < 1:
            raise UserError(
                f"expected_beats and max_cycles must be positive, not {expected_beats}, "
                f"{max_cycles}"
            )

    def _width(self, port: str) -> int:
        found = self.verilog.port(port)
        assert found is not None  # build() refuses a design without it
        return found.width

    def _recorded(self, record: Collection[str] | None) -> NDArray[np.uint8]:
        names = (*self.probes, *self.events)
        unknown = set(record or ()) - set(names)
        if unknown:
            raise UserError(
                f"no probe or event called {sorted(unknown)[0]!r}; there are "
                f"{', '.join(names) or 'none'}"
            )
        return np.array([record is None or name in record for name in names], dtype=np.uint8)

    def _simulation(self, recording: Recording, cycles: int, seconds: float) -> Simulation:
        width = (self._width("m_axis_tdata") + 7) // 8
        outputs = Beats(recording.data[:, :width], recording.tid, recording.first, recording.last)
        probes = {
            name: ProbeWrites(
                cycle, address, data[:, : (self._width(f"probe_{name}_data") + 7) // 8]
            )
            for name, (cycle, address, data) in zip(self.probes, recording.probes, strict=True)
        }
        violations = tuple(Violation(int(cycle), rule) for cycle, rule in recording.violations)
        events = dict(zip(self.events, recording.events, strict=True))
        return Simulation(
            outputs,
            recording.output_cycle,
            recording.input_cycle,
            probes,
            events,
            violations,
            cycles,
            seconds,
        )


def build(verilog: Verilog, cache: Cache | None = None, *, cycles: int | None = None) -> Simulator:
    """Compile `verilog` for simulation, or find it compiled; a run reads memory files as it begins.

    `cycles`: how many all runs have together, about; of few, compiling takes less and a cycle more.
    None: many.

    UserError if a port or a tool is missing; ToolError if a tool refuses the design.
    """
    wanted = ["clk", "rst", *(f"{side}_axis_{signal}" for side in "sm" for signal in _AXIS)]
    for name in probe_names(verilog):
        wanted += [f"probe_{name}_addr", f"probe_{name}_data"]
    missing = [name for name in wanted if verilog.port(name) is None]
    if missing:
        raise UserError(
            f"{verilog.top} lacks the ports {', '.join(missing)} that simulation drives"
        )
    return Simulator(verilog, library(verilog, cache or Cache.default(), cycles))


def _stall(stall: Stall, name: str) -> float | NDArray[np.uint8]:
    if isinstance(stall, np.ndarray):
        if stall.ndim != 1 or not len(stall) or stall.dtype != bool or stall.all():
            raise UserError(f"{name} as a pattern is a row of flags that are not all true")
        return stall.astype(np.uint8)
    if not 0 <= stall < 1:
        raise UserError(f"{name} is a probability in [0, 1), not {stall}")
    return float(stall)


def _reset(session: Session, cycle: int) -> None:
    reached = session.advance(cycle)
    if reached != cycle:
        raise UserError(
            f"the run ended at cycle {reached}, before the reset wanted at cycle {cycle}"
        )
    session.restart()


def _advance(session: Session, max_cycles: int) -> int:
    cycles = session.advance(max_cycles)
    session.advance(PAST_END_CYCLES, past_end=True)
    return cycles


def _require_beats(simulation: Simulation, sent: int, expected: int, max_cycles: int) -> None:
    got, accepted = len(simulation.outputs), len(simulation.input_cycle)
    if got == expected:
        return
    last = f", the last at cycle {int(simulation.output_cycle[-1])}" if got else ""
    if got > expected:
        raise SimulationError(
            f"the design sent {got} beats where {expected} were expected{last}", simulation
        )
    raise SimulationError(
        f"only {got} of {expected} output beats came within {max_cycles} cycles{last}; "
        f"{accepted} of {sent} input beats were accepted",
        simulation,
    )
