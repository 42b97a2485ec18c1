"""Watts of an engine on a device: estimated from published energies, uncalibrated, never measured.

Dynamic power is energy per cycle times the clock, in three parts; static is the device's.

- logic: look-up tables, flip-flops, clock and routing together, from a measured FPGA, at the
  activity of its data;
- multipliers: products a second times the energy of one;
- block RAMs: bits read a second, 18 of every 18 kbit in a cycle, times the energy of one.

Energies scale to a family's process: with feature size, and with core voltage squared.
"""

from dataclasses import dataclass

from ernn.errors import UserError
from ernn.estimate.device import Device, Family, Mark

Watts = float
RANDOM = 0.5  # of a random word's bits, those that differ from the word before
CLB_LOGIC = 8  # look-up tables of a Virtex-II CLB, and flip-flops


@dataclass(frozen=True)
class Process:
    """Feature size in nanometres and core voltage."""

    nanometres: float
    volts: float

    def scale(self, to: "Process") -> float:
        """What an energy of this process is multiplied by in another one."""
        return to.nanometres / self.nanometres * (to.volts / self.volts) ** 2


@dataclass(frozen=True)
class Energy:
    """An energy in picojoules, of what, on which process, and where it was published."""

    picojoules: float
    of: str
    process: Process
    mark: Mark
    source: str

    def joules(self, on: Process) -> float:
        return self.picojoules * 1e-12 * self.process.scale(on)

    def __str__(self) -> str:
        process = f"{self.process.nanometres:g} nm, {self.process.volts:g} V"
        return f"{self.of}: {self.picojoules:g} pJ at {process} ({self.source}; {self.mark})"


_HOROWITZ = "Horowitz, ISSCC 2014"
LOGIC = Energy(
    5.9,
    "a CLB of 8 look-up tables and flip-flops with its routing and clock, a cycle, one bit in "
    "eight toggling",
    Process(150, 1.5),
    "M",
    "5.9 µW/MHz, Shang, Kaviani and Bathala, FPGA 2002; the activity is assumed",
)
MULTIPLY = Energy(3.1, "a product of 32 by 32 bits", Process(45, 0.9), "V", _HOROWITZ)
MEMORY = Energy(10, "64 bits read from 8 KB", Process(45, 0.9), "V", _HOROWITZ)
LOGIC_ACTIVITY = 1 / 8

PROCESSES: dict[Family, Process] = {
    "ecp5": Process(40, 1.1),
    "xc7": Process(28, 1.0),
    "xcu": Process(20, 0.95),
    "xcup": Process(16, 0.85),
}

# Typical at room temperature, configured and idle. Recalled (M) from data sheets and the vendors'
# own estimates.
STATIC: dict[str, Watts] = {
    **{"LFE5U-25F": 0.08, "LFE5U-45F": 0.13, "LFE5U-85F": 0.23, "LFE5UM5G-85F": 0.25},
    **{
        "XC7A100T": 0.10,
        "XC7Z020": 0.12,
        "XC7VX690T": 0.35,
        "XCKU060": 0.6,
        "ZU3EG": 0.3,
        "ZU7EV": 0.6,
    },
}


@dataclass(frozen=True)
class Engine:
    """What power depends on: cells, clock, and how busy they are.

    `product`: operand widths of its multipliers; `utilisation`: share of multiplier-cycles that
    are useful, 0..1; `activity`: share of data bits that toggle in a cycle, 0..1, and
    `simulated`, whether it was counted.
    """

    lut: int
    ff: int
    dsp: int
    block_ram_kbit: int
    product: tuple[int, int]
    clock_mhz: float
    utilisation: float
    activity: float
    simulated: bool

    def __post_init__(self) -> None:
        for name in ("utilisation", "activity"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"an engine's {name} is a share from 0 to 1, not {getattr(self, name):g}"
                )


@dataclass(frozen=True)
class Power:
    """Watts by part."""

    static: Watts
    logic: Watts
    multipliers: Watts
    block_ram: Watts

    @property
    def dynamic(self) -> Watts:
        return self.logic + self.multipliers + self.block_ram

    @property
    def total(self) -> Watts:
        return self.static + self.dynamic


def assumed_activity(utilisation: float) -> float:
    """Without a simulation: random data, new in as many cycles as the multipliers are busy."""
    return RANDOM * utilisation


def estimate(device: Device, engine: Engine) -> Power:
    """Watts of an engine on a device."""
    process, hertz = PROCESSES[device.family], engine.clock_mhz * 1e6
    blocks = max(engine.lut, engine.ff) / CLB_LOGIC
    wide, narrow = engine.product
    product = MULTIPLY.joules(process) * wide * narrow / 32**2
    return Power(
        static=STATIC[device.name],
        logic=hertz * blocks * LOGIC.joules(process) * engine.activity / LOGIC_ACTIVITY,
        multipliers=hertz * engine.dsp * engine.utilisation * product,
        block_ram=hertz * engine.block_ram_kbit * engine.utilisation * MEMORY.joules(process) / 64,
    )


def assumptions(device: Device, engine: Engine) -> tuple[str, ...]:
    """What the estimate rests on, to be printed beside it."""
    process = PROCESSES[device.family]
    how = (
        "counted in simulation"
        if engine.simulated
        else "assumed: random data while the multipliers are busy"
    )
    wide, narrow = engine.product
    return (
        f"{engine.activity:.1%} of data bits toggle in a cycle ({how}), in all logic as in the "
        "data",
        f"{device.name}: {process.nanometres:g} nm, {process.volts:g} V; energies scale with nm "
        "and with V² (M)",
        f"static {STATIC[device.name]:g} W, typical at room temperature (M)",
        str(LOGIC),
        f"{MULTIPLY}, for {wide} by {narrow} in proportion to both",
        f"{MEMORY}; every block RAM in use reads 18 bits of 18 kbit in busy cycles",
        "no pins, no external memory, no processor; uncalibrated: a factor of three either way is "
        "possible",
    )
