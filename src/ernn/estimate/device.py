"""FPGA devices as values: what each holds, the figure's source, and open tools' names for it.

Marks: V, read in a named source; M, recalled, not re-read; M✓, recalled, and reproduces a V figure.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from ernn.errors import UserError

Mark = Literal["V", "M✓", "M"]
Family = Literal["ecp5", "xc7", "xcu", "xcup"]


@dataclass(frozen=True)
class Figure:
    """One number of a data sheet, how sure we are of it, and where it was read."""

    value: int
    mark: Mark
    source: str

    def __post_init__(self) -> None:
        if self.value < 0 or self.mark not in get_args(Mark) or not self.source:
            raise UserError(f"a device figure is a count with a mark and a source, not {self}")

    def __str__(self) -> str:
        return f"{self.value:,} ({self.mark})"


@dataclass(frozen=True)
class Device:
    """One part: `lut`, `ff`, `dsp` counts, `block_ram` and `ultra_ram` kbit,
    `multiplier` the operand widths of a DSP.

    `family` is Yosys's name (ecp5 for synth_ecp5, the others for synth_xilinx -family).  `nextpnr`
    the flag that selects it for place and route, empty where no open tool places it; then `package`
    and `grades` are empty as well. Grades are in nextpnr's numbers, slowest first.
    """

    name: str
    family: Family
    lut: Figure
    ff: Figure
    dsp: Figure
    multiplier: tuple[int, int]
    block_ram: Figure
    ultra_ram: Figure
    nextpnr: str = ""
    package: str = ""
    grades: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in get_args(Family):
            raise UserError(
                f"a device's family is one of {', '.join(get_args(Family))}, not {self.family!r}"
            )
        if bool(self.nextpnr) != bool(self.package and self.grades):
            raise UserError(
                f"{self.name}: a device that can be placed has a nextpnr flag, a package and grades"
            )

    @property
    def is_ultrascale(self) -> bool:
        """UltraScale or UltraScale+: no open tool places it, and Yosys packs neither registers nor
        additions into DSP48E2, so a 7-series device is the better proxy for its LUT and FF.
        """
        return self.family in ("xcu", "xcup")

    @property
    def can_be_placed(self) -> bool:
        """Whether open place and route exists for it; if not, only area is to be had."""
        return bool(self.nextpnr)


_NEXTPNR = "available in nextpnr-ecp5's report"


def _ecp5(
    name: str, logic: int, dsp: int, blocks: int, flag: str, package: str, grades: tuple[int, ...]
) -> Device:
    def read(value: int) -> Figure:
        return Figure(value, "V", _NEXTPNR)

    return Device(
        name=name,
        family="ecp5",
        lut=read(logic),
        ff=read(logic),
        dsp=read(dsp),
        multiplier=(18, 18),
        block_ram=read(18 * blocks),
        ultra_ram=Figure(0, "V", "the family has none"),
        nextpnr=flag,
        package=package,
        grades=grades,
    )


def _xilinx(
    name: str,
    family: Family,
    marks: tuple[Mark, Mark],
    counts: tuple[int, int, int, int, int],
    source: str = "vendor's figures, as gathered for this project",
) -> Device:
    """`marks`: of LUT and FF, and of the rest; `counts`: LUT, FF, DSP, block RAM, UltraRAM."""
    lut, ff, dsp, block_ram, ultra_ram = (
        Figure(count, marks[0] if place < 2 else marks[1], source)
        for place, count in enumerate(counts)
    )
    multiplier = (25, 18) if family == "xc7" else (27, 18)
    return Device(name, family, lut, ff, dsp, multiplier, block_ram, ultra_ram)


_DEVICES = (
    _ecp5("LFE5U-25F", 24_288, 28, 56, "--25k", "CABGA381", (6, 7, 8)),
    _ecp5("LFE5U-45F", 43_848, 72, 108, "--45k", "CABGA381", (6, 7, 8)),
    _ecp5("LFE5U-85F", 83_640, 156, 208, "--85k", "CABGA756", (6, 7, 8)),
    _ecp5("LFE5UM5G-85F", 83_640, 156, 208, "--um5g-85k", "CABGA756", (8,)),
    _xilinx("XC7A100T", "xc7", ("V", "M"), (63_400, 126_800, 240, 4_860, 0)),
    _xilinx("XC7Z020", "xc7", ("V", "V"), (53_200, 106_400, 220, 5_040, 0)),
    _xilinx(
        "XC7VX690T",
        "xc7",
        ("V", "V"),
        (433_200, 866_400, 3_600, 52_920, 0),
        "vendor's figures, read to three digits",
    ),
    _xilinx("XCKU060", "xcu", ("M✓", "M✓"), (331_680, 663_360, 2_760, 38_880, 0)),
    _xilinx("ZU3EG", "xcup", ("V", "V"), (70_560, 141_120, 360, 7_776, 0)),
    _xilinx("ZU7EV", "xcup", ("V", "V"), (230_400, 460_800, 1_728, 11_232, 27_648)),
)


def devices() -> tuple[Device, ...]:
    """Every device known, those that can be placed first."""
    return _DEVICES


def find_device(name: str) -> Device:
    """The device called `name`, in any letter case; UserError with the list of names if none is."""
    for device in _DEVICES:
        if device.name.lower() == str(name).lower():
            return device
    raise UserError(
        f"no device called {name!r}; known are {', '.join(device.name for device in _DEVICES)}"
    )
