"""The rows and the page of `benchmarks/paper.py`, from its results."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ernn.estimate import power
from ernn.estimate.device import find_device
from ernn.ground.reading import read_json
from ernn.report.published import ACCELERATORS, Accelerator

HERE = Path(__file__).parents[1] / "docs/results"
RESAMPLES = 10_000
PUBLISHED = tuple(one for one in ACCELERATORS if one.design.startswith(("ESE", "C-LSTM", "E-RNN")))
ESE, C_LSTM = 17_544 / 41, 179_687 / 22
"""Frames a second and watt of ESE, and of C-LSTM in blocks of 8, as published."""
SHOWN = ("network", "block", "way", "seed", "validation", "test", "test_minus_dense", "low", "high")
SHOWN += ("train", "weights", "epochs", "minutes")
WORDS = """\
## What it says so far

- The dense network has stopped getting better on the validation speakers (40.4, 40.4, 40.3, 40.3 %
  after its last epochs). It hears its own 24 speakers at 20.4 %: they are few, and it overfits.
- Plain blocks of 8 do not: 53.1 % on their own speakers, 56.1 % on others. What they lose, 17.6
  points, is not generalisation; nor is it capacity alone, since blocks of 16, half as many
  numbers, lose 15.2. It is what a block can see of its input, and how it is trained.
- Signs, drawn by a seed, give back 10.8 [9.5, 11.9] of these points, and 4.5 [3.8, 5.2] of those
  of blocks of 16, for the same numbers stored and the same products, in 0 to 3 % more time. What
  remains, 6.9 and 10.7 points, is in the training error, too (35.5 and 41.2 % against 20.4 %).
- One seed, so far: the intervals are over speakers, not over trainings.
- Signs cannot be read off a trained network: projected to blocks of 8, the dense one's matrices
  keep 36 % of their norm without signs and with random ones, as independent numbers would (35 %),
  and 38 % with the best signs that flips find. Of blocks of 16 it is 25, 25 and 28 %.
- Under-trained: every row in blocks. After 16 epochs their validation error still falls, by 0.1 to
  0.2 points an epoch at the schedule's end. The bar of 34 % for a dense LSTM 1024/512, which hears
  `train_more` too, has not been tried; nor have ADMM, one projection, a teacher, pruning and low
  rank at this size.
"""
Result = dict[str, Any]


def percent(test: dict[str, list[int]]) -> float:
    """The error rate over all speakers, in per cent."""
    return 100 * sum(errors for errors, _ in test.values()) / sum(n for _, n in test.values())


def difference(row: Result, other: Result) -> tuple[float, float, float]:
    """Points of a row over another, and the 95 % interval of a paired bootstrap over speakers."""
    speakers = sorted(row["test"])
    mine, theirs = (np.array([one["test"][s] for s in speakers]) for one in (row, other))
    drawn = np.random.default_rng(0).integers(0, len(speakers), (RESAMPLES, len(speakers)))
    many, few = (counts[drawn].sum(1) for counts in (mine, theirs))
    points = 100 * (many[:, 0] / many[:, 1] - few[:, 0] / few[:, 1])
    low, high = np.percentile(points, (2.5, 97.5))
    return percent(row["test"]) - percent(other["test"]), float(low), float(high)


def found(result: Result, **wanted: Any) -> Result | None:
    """The row with these values; None where it is not trained."""
    rows = (row for row in result["rows"] if wanted.items() <= row.items())
    return next(rows, None)


def rows_of(result: Result) -> list[Result]:
    """Every trained row, beside the dense network of its seed."""
    rows = []
    for row in result["rows"]:
        dense = found(result, network=row["network"], block=1, seed=row["seed"])
        known = difference(row, dense) if dense and dense is not row else (None, None, None)
        more = zip(("test_minus_dense", "low", "high"), known, strict=True)
        rows.append({**row, "test": percent(row["test"]), **dict(more)})
    return [{name: row[name] for name in SHOWN} for row in rows]


def page(result: Result, left: list[Result]) -> str:
    """docs/results/paper.md."""
    return "\n".join(
        [*_head(result), *_rows(result), *_duels(result), WORDS, *_left(result, left), *_engines()]
    )


def _head(result: Result) -> list[str]:
    training, features = result["training"], result["features"]
    return [
        "# The paper's claim at the paper's size",
        "",
        "    python benchmarks/paper.py --json",
        "",
        f"Phone error rates, {result['kind']}, greedy decoding: {result['corpus']}.",
        f"{features['stack']} frames of 10 ms a step; {training['epochs']} epochs of AdamW at",
        f"{training['rate']:g}, batches of {training['batch']}, dropout {result['dropout']:g}, "
        "weights averaged. Test:",
        "94,823 phones of 20 speakers, heard once by each row. Intervals: 95 % of a paired",
        'bootstrap over these speakers. "train" is the error rate on every sixth training',
        "utterance, without noise. Minutes are a processor's, of rows that ran without a stop.",
        f"Trained on {result['machine']}.",
        "",
    ]


def _rows(result: Result) -> list[str]:
    lines = [
        "| network | block | way | seed | validation % | test % | minus dense, points | train % | "
        "weights | epochs | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows_of(result):
        minus = _interval(row["test_minus_dense"], row["low"], row["high"])
        minutes = "" if row["minutes"] is None else f"{row['minutes']:.1f}"
        cells = [row["network"], str(row["block"]), row["way"], str(row["seed"])]
        cells += [f"{row['validation']:.2f}", f"{row['test']:.2f}", minus, f"{row['train']:.2f}"]
        lines.append(_row([*cells, f"{row['weights']:,}", str(row["epochs"]), minutes]))
    return [*lines, ""]


def _duels(result: Result) -> list[str]:
    lines = []
    for row in result["rows"]:
        same = {name: row[name] for name in ("network", "block", "seed")}
        plain = found(result, **same, way="direct")
        if row["way"] == "signed" and plain:
            points, low, high = difference(row, plain)
            cells = [row["network"], str(row["block"]), str(row["seed"])]
            lines.append(_row([*cells, _interval(points, low, high)]))
    head = [
        "## Signed blocks against plain ones",
        "",
        "Both trained inside their set from fresh weights, with the same numbers stored.",
        "",
        "| network | block | seed | signed minus plain, points |",
        "|---|---|---|---|",
    ]
    return [*head, *lines, ""] if lines else []


def _left(result: Result, left: list[Result]) -> list[str]:
    """What is planned and not trained, with the minutes that it takes."""
    if not left:
        return []
    minutes = result.get("minutes", {})
    lines = [
        "## What is not trained yet",
        "",
        "    python benchmarks/paper.py --work ~/paper --root FOLDER_OF_librispeech_mini_logmel",
        "",
        "goes on from here, network by network and seed by seed. Minutes: of one free processor,",
        "by the measured time of three steps.",
        "",
        "| network | block | way | seeds | minutes each |",
        "|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, int, str], list[str]] = {}
    for row in left:
        key = row["network"], row["block"], row["way"]
        groups.setdefault(key, []).append(str(row["seed"]))
    for (network, block, way), seeds in groups.items():
        each = minutes.get(f"{network} {block} {way}")
        cells = [network, str(block), way, ", ".join(seeds)]
        lines.append(_row([*cells, "" if each is None else f"{each:.0f}"]))
    return [*lines, ""]


# --- the paper's table


@dataclass(frozen=True)
class Ours:
    """An engine of ours for the LSTM of 1024 cells in blocks of 16; clock: of what kind it is."""

    name: str
    device: str
    fps: float
    latency_us: float
    clock: str
    engine: power.Engine

    def watts(self, activity: float, factor: float) -> float:
        """`factor` times the estimate with this share of data bits toggling."""
        engine = replace(self.engine, activity=activity)
        return factor * power.estimate(find_device(self.device), engine).total

    @property
    def interval(self) -> tuple[float, float, float]:
        """Watts, low, likely and high: see the page's notes."""
        random = power.assumed_activity(self.engine.utilisation)
        low = self.watts(min(power.LOGIC_ACTIVITY, random / 2), 0.5)
        return low, self.watts(random / 2, 1.0), self.watts(random, 2.0)


def engines() -> list[Ours]:
    """Those of the paper's devices that Phase II chose, and the one that is placed."""
    chosen = read_json(HERE / "devices.json")["layer"]
    names = ("XCKU060", "XC7VX690T", "LFE5U-85F")
    found = [_ours_of(one, one["use"], "assumed") for one in chosen if one["device"] in names]
    placed = read_json(HERE / "hardware/L16-LFE5U-85F-s1-placed6.json")
    area = {**placed["area"], "block_ram": placed["area"]["bram_kbit"]}
    values = {name: placed[name]["value"] for name in ("clock_mhz", "fps", "latency_us")}
    return [*found, _ours_of(placed | values, area, "placed")]


def _ours_of(one: Result, use: Result, clock: str) -> Ours:
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
    name = f"ours, LSTM FFT16, {one['device']}, {streams} stream{'s' if streams > 1 else ''}"
    clock = f"clock {clock}, {one['clock_mhz']:.0f} MHz"
    return Ours(name, one["device"], one["fps"], one["latency_us"], clock, engine)


def _engines() -> list[str]:
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
        *map(_ours, engines()),
        "",
        *_notes(),
    ]


def _published(one: Accelerator) -> str:
    known = one.watts.split()[0] if one.watts else ""
    each = float(one.frames_per_second.replace(",", "")) / float(known) if known else None
    ratios = ["", "", ""]
    if each is not None:
        ratios = [f"{each:,.0f}", f"{each / ESE:.1f}", f"{each / C_LSTM:.2f}"]
    kind = f"published, {one.mark}"
    first = [one.design, one.bits, one.weights, one.loss, one.frames_per_second]
    return _row([*first, one.latency_us, one.watts, *ratios, kind])


def _ours(one: Ours) -> str:
    watts = one.interval
    low, likely, high = (one.fps / each for each in reversed(watts))
    cells = [one.name, "12", "0.20 M", "not trained yet", f"{one.fps:,.0f}"]
    cells += [f"{one.latency_us:.1f}", _range(watts, ".1f"), _range((low, likely, high), ",.0f")]
    for rival in (ESE, C_LSTM):
        cells.append(_range((low / rival, likely / rival, high / rival), ",.1f"))
    return _row([*cells, f"cycles exact, {one.clock}; W estimated"])


def _notes() -> Iterator[str]:
    yield (
        "Points lost by ours are not known yet: the LSTM of 1024 cells is not trained on this "
        "corpus. Watts, low / likely / high: static power and the energies of "
        "`ernn.estimate.power` (a CLB of Virtex-II, measured in 2002, M; 32-bit products and "
        "reads of 8 KB at 45 nm, Horowitz, ISSCC 2014, V), scaled to the device's process. "
        "Low: half of all of them, and an eighth of the data bits toggle, as when the CLB was "
        "measured. Likely: as published, and half as many toggle as of random data while the "
        "multipliers are busy. High: twice all of them, and as many toggle as of random data. "
        "Nothing is calibrated, and theirs is what a board draws, ours an engine without "
        "memory controller and pins. At the 25 W of E-RNN's board, the 1,574,803 frames/s on "
        "XCKU060 are 62,992 frames/s/W: 147 times ESE's, 7.7 times C-LSTM's."
    )
    yield ""


def _interval(points: float | None, low: float | None, high: float | None) -> str:
    return "" if points is None else f"{points:+.2f} [{low:+.2f}, {high:+.2f}]"


def _range(values: tuple[float, float, float], form: str) -> str:
    return " / ".join(format(value, form) for value in values)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
