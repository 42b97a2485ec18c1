"""The paper's table in `benchmarks/paper.py`'s page: published accelerators and engines of ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ernn.estimate import power
from ernn.estimate.device import find_device
from ernn.ground.reading import read_json
from ernn.report.published import ACCELERATORS, Accelerator

HERE = Path(__file__).parents[1] / "docs/results"
PUBLISHED = tuple(one for one in ACCELERATORS if one.design.startswith(("ESE", "C-LSTM", "E-RNN")))
ESE, C_LSTM = 17_544 / 41, 179_687 / 22
"""Frames a second and watt of ESE, and of C-LSTM in blocks of 8, as published."""
WEIGHTS = {8: "0.41 M", 16: "0.20 M"}
BOARD = 25
"""Watts of E-RNN's board, as published."""
Result = dict[str, Any]


@dataclass(frozen=True)
class Ours:
    """An engine of ours for the LSTM of 1024 cells; clock: of what kind it is."""

    name: str
    block: int
    device: str
    fps: float
    latency_us: float
    clock: str
    engine: power.Engine

    def watts(self, activity: float, factor: float) -> float:
        """`factor` times the estimate with this share of data bits toggling."""
        engine = replace(self.engine, activity=activity)
        return factor * power.estimate(find_device(self.device), engine).total

    def interval(self, counted: float) -> tuple[float, float, float]:
        """Watts, low, likely and high: see the page's notes. counted: share of data bits that
        toggle with speech while the multipliers are busy."""
        likely = counted * self.engine.utilisation
        random = power.assumed_activity(self.engine.utilisation)
        low = self.watts(min(power.LOGIC_ACTIVITY, likely), 0.5)
        return low, self.watts(likely, 1.0), self.watts(random, 2.0)


def engines(eight: list[Result]) -> list[Ours]:
    """Those of the paper's devices that Phase II chose, and the one that is placed. eight: those in
    blocks of 8."""
    chosen = read_json(HERE / "devices.json")["layer"]
    names = ("XCKU060", "XC7VX690T", "LFE5U-85F")
    found = [_ours_of(8, one, one["use"], "assumed") for one in eight]
    found += [_ours_of(16, one, one["use"], "assumed") for one in chosen if one["device"] in names]
    placed = read_json(HERE / "hardware/L16-LFE5U-85F-s1-placed6.json")
    area = {**placed["area"], "block_ram": placed["area"]["bram_kbit"]}
    values = {name: placed[name]["value"] for name in ("clock_mhz", "fps", "latency_us")}
    return [*found, _ours_of(16, placed | values, area, "placed")]


def _ours_of(block: int, one: Result, use: Result, clock: str) -> Ours:
    cells = {name: use[name] for name in ("lut", "ff", "dsp")}
    engine = power.Engine(
        **cells,
        block_ram_kbit=use["block_ram"],
        product=(16, 12),
        clock_mhz=one["clock_mhz"],
        utilisation=one["utilisation"],
        activity=0.0,
        simulated=False,
    )
    streams = one["design"]["streams"]
    name = f"ours, LSTM FFT{block}, {one['device']}, {streams} stream{'s' if streams > 1 else ''}"
    clock = f"clock {clock}, {one['clock_mhz']:.0f} MHz"
    return Ours(name, block, one["device"], one["fps"], one["latency_us"], clock, engine)


def table(result: Result, lost: Mapping[int, str]) -> list[str]:
    """lost: points that ours lose, by block."""
    speech = result["speech"]
    counted = speech["activity"] / speech["utilisation"]
    ours = engines(result["blocks of 8"])
    fps = {one.block: one.fps for one in ours if one.device == "XCKU060"}
    return [
        "## The paper's table",
        "",
        "One layer: input 153 or 160, an LSTM of 1024 cells projected to 512 or a GRU of 1024",
        "units, blocks of 8 or 16. Published rows are at 200 MHz, their marks as in",
        "[what others published](../reference/published.md). Ours: engines that Phase II chose",
        "([devices](devices.md)), and one that is placed ([hardware](hardware.md)); cells are",
        "estimated but for the placed one's. XC7VX690T is the 7V3 board's device. Ratios are of",
        "frames/s/W, to ESE and to C-LSTM in blocks of 8.",
        "",
        "| design | bits | weights | points lost | frames/s | latency, µs | W | frames/s/W "
        "| / ESE | / C-LSTM | kind |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *map(_published, PUBLISHED),
        *(_ours(one, lost[one.block], counted) for one in ours),
        "",
        *_notes(speech, counted, fps),
    ]


def _published(one: Accelerator) -> str:
    known = one.watts.split()[0] if one.watts else ""
    each = float(one.frames_per_second.replace(",", "")) / float(known) if known else None
    ratios = ["", "", ""]
    if each is not None:
        ratios = [f"{each:,.0f}", f"{each / ESE:.1f}", f"{each / C_LSTM:.2f}"]
    kind = f"published, {one.mark}"
    first = [one.design, one.bits, one.weights, one.loss, one.frames_per_second]
    return row([*first, one.latency_us, one.watts, *ratios, kind])


def _ours(one: Ours, lost: str, counted: float) -> str:
    watts = one.interval(counted)
    low, likely, high = (one.fps / each for each in reversed(watts))
    cells = [one.name, "12", WEIGHTS[one.block], lost, f"{one.fps:,.0f}"]
    cells += [f"{one.latency_us:.1f}", _range(watts, ".1f"), _range((low, likely, high), ",.0f")]
    for rival in (ESE, C_LSTM):
        cells.append(_range((low / rival, likely / rival, high / rival), ",.1f"))
    return row([*cells, f"cycles exact, {one.clock}; W estimated"])


def _notes(speech: Result, counted: float, fps: Mapping[int, float]) -> Iterator[str]:
    yield (
        "Points lost by ours are measured, against the dense network that taught them, on "
        "LibriSpeech, 40 log-mel bins in three frames as "
        "input, `train_more` heard, too; one seed; theirs are published, on TIMIT. This trained "
        f"network, with its output layer, is simulated on {speech['device']} with "
        f"{speech['frames']:,} frames of the test speakers: {speech['mismatches']} of "
        f"{speech['integers']:,} integers differ from golden, {speech['cycles_simulated']:,} "
        f"cycles a round ({speech['cycles_predicted']:,} predicted), and "
        f"{100 * counted:.0f} % of data bits toggle in a cycle in which multipliers are busy "
        f"({100 * speech['activity']:.0f} % in all). Watts, low / likely / high: static power "
        "and the energies of "
        "`ernn.estimate.power` (a CLB of Virtex-II, measured in 2002, M; 32-bit products and "
        "reads of 8 KB at 45 nm, Horowitz, ISSCC 2014, V), scaled to the device's process. "
        "Low: half of all of them, and an eighth of the data bits toggle, as when the CLB was "
        "measured. Likely: as published, and as many toggle as with this speech. High: twice all "
        "of them, and as many toggle as of random data. "
        "Nothing is calibrated, and theirs is what a board draws, ours an engine without "
        "memory controller and pins. At the "
        f"{BOARD} W of E-RNN's board the engines on XCKU060 have {_at_board(fps)}."
    )
    yield ""


def _at_board(fps: Mapping[int, float]) -> str:
    """Of the engines by their block."""
    each = ((block, rate / BOARD) for block, rate in fps.items())
    return ", and ".join(
        f"in blocks of {block} {one:,.0f} frames/s/W: {one / ESE:.0f} times ESE's, "
        f"{one / C_LSTM:.1f} times C-LSTM's"
        for block, one in each
    )


def _range(values: tuple[float, float, float], form: str) -> str:
    return " / ".join(format(value, form) for value in values)


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
