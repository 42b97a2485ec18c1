"""A full record whose values are invented for these tests: plausible, and nobody's result."""

import math

import numpy as np

from ernn.report import series as s
from ernn.report.record import Measurement, RunRecord

GATES = "lstm0.gates"


def measured(value: float, unit: str, **more) -> Measurement:
    return Measurement(value, unit, "measured", "ernn evaluate, synthetic test record", **more)


def figures() -> dict[str, Measurement]:
    tokens = {"tokens": 2512}
    return {
        "error_rate.dense": measured(3.62, "%", interval=(2.91, 4.43), **tokens),
        "error_rate.one_shot": measured(4.94, "%", interval=(4.1, 5.87), **tokens),
        "error_rate.compressed": measured(
            4.06, "%", interval=(3.3, 4.91), seeds=3, spread=(3.9, 4.2), **tokens
        ),
        "error_rate.integer": measured(
            4.1, "%", interval=(3.34, 4.96), note="16-bit data", **tokens
        ),
        "compression.weights": measured(30_112, "weights"),
        "compression.ratio": measured(7.62, "×"),
        "verify.frames": Measurement(2431, "frames", "simulated", "Verilator 5.48"),
        "verify.mismatches": Measurement(0, "integers", "simulated", "Verilator 5.48"),
        "verify.integers": Measurement(1_458_600, "integers", "simulated", "Verilator 5.48"),
        "cycles.predicted": Measurement(
            1496, "cycles", "estimated", "ernn.rtl schedule", note="one round, 4 frames"
        ),
        "cycles.simulated": Measurement(1496, "cycles", "simulated", "Verilator 5.48"),
        "utilisation": Measurement(84.21, "%", "simulated", "Verilator 5.48"),
        "clock_mhz": Measurement(
            131.4, "MHz", "placed", "nextpnr-ecp5 0.11.1", seeds=3, spread=(118.2, 137.9)
        ),
        "fps": Measurement(351_336.9, "frames/s", "placed", "clock × frames ÷ cycles"),
        "latency_us": Measurement(11.39, "µs", "placed", "clock, simulated cycles"),
        "power.total": Measurement(0.612, "W", "estimated", "ernn.estimate.power"),
        "power.static": Measurement(0.23, "W", "estimated", "ernn.estimate.power"),
        "multipliers": measured(88, "multipliers"),
        "multiplications.frame": measured(27_712, "multiplications"),
        "activations.sigmoid_error": measured(0.00213, "1"),
        "activations.tanh_error": measured(0.00391, "1"),
    }


def about() -> s.About:
    asked = {
        "task": "connected spoken digits, CTC",
        "network": "LSTM, 2 layers of 128",
        "structure": "block-circulant, k = 8",
        "weights": "12 bits",
        "data": "16 bits",
        "device": "LFE5U-85F, speed grade 6",
        "streams": "4",
        "accuracy limit": "1.0 point",
    }
    environment = {
        "python": "3.11.2",
        "torch": "2.13.0",
        "processor": "two cores",
        "nextpnr-ecp5": "0.11.1",
    }
    return s.About(
        "Connected digits on an ECP5: a block-circulant LSTM",
        "A dense LSTM was compressed to circulant blocks of 8, made integer, turned into an "
        "engine, proven and placed.",
        tuple(s.Item(name, value) for name, value in asked.items()),
        tuple(s.Item(name, value) for name, value in environment.items()),
        ("ernn demo --out out/demo", "ernn report out/demo/record.json"),
    )


def layers() -> tuple[s.LayerPicture, ...]:
    def matrix(name: str, gates: int, rows: int, columns: int, block: int = 8) -> s.MatrixBits:
        return s.MatrixBits(name, gates, rows, columns, block, gates * rows * columns // block, 12)

    return (
        s.LayerPicture(
            "lstm0",
            "LSTM",
            16,
            128,
            (matrix("input", 4, 128, 16), matrix("recurrent", 4, 128, 128)),
        ),
        s.LayerPicture(
            "lstm1",
            "LSTM",
            128,
            128,
            (matrix("input", 4, 128, 128), matrix("recurrent", 4, 128, 128)),
        ),
        s.LayerPicture("linear", "linear", 128, 11, (matrix("W", 1, 11, 128, 1),)),
    )


def edges() -> tuple[s.EdgeFormat, ...]:
    names = (
        "input",
        "input.spectrum",
        GATES,
        f"{GATES}.rows",
        "lstm0.cell",
        "lstm0.output",
        "linear",
    )
    return tuple(
        s.EdgeFormat(name, True, 16, 12 - i, 0.0001 * i if i % 2 else None)
        for i, name in enumerate(names)
    )


def utterance(hostile: str = "") -> s.Utterance:
    random = np.random.default_rng(7)
    digits, shown = ("4", "7", "oh", "1", "9"), ("4", "7", "oh", "9")
    times = [(6 + 40 * i, 40 + 40 * i) for i in range(5)]
    frames = np.cumsum(random.normal(size=(212, 40)), axis=0)
    frames = 4 * np.sin(frames / 6) + np.linspace(5, 0, 40) + random.normal(size=(212, 40))
    truth = tuple(s.Token(label, *time) for label, time in zip(digits, times, strict=True))
    times.pop(3)
    found = tuple(
        s.Token(label, start + 9, end - 8) for label, (start, end) in zip(shown, times, strict=True)
    )
    features = tuple(tuple(round(float(v), 2) for v in frame) for frame in frames)
    return s.Utterance(
        f"test-0042{hostile}", features, truth, (*found, s.Token(f"3{hostile}", 204, 204))
    )


def schedule(streams: int = 4) -> s.Schedule:
    units = ("MAC array", "inverse FFT", "vector unit", "FFT", "output")
    bars: list[s.ScheduleBar] = []
    step = 374
    for turn in range(-1, streams + 1):
        start, stream = turn * step, turn % streams
        for layer, offset in (("lstm0", 0), ("lstm1", 150)):
            first = start + offset
            bars.append(s.ScheduleBar("MAC array", first, first + 140, f"{layer} gates", stream))
            bars.append(s.ScheduleBar("inverse FFT", first + 20, first + 150, layer, stream))
            bars.append(s.ScheduleBar("vector unit", first + 60, first + 170, layer, stream))
            bars.append(s.ScheduleBar("FFT", first + 170, first + 190, layer, stream))
        bars.append(s.ScheduleBar("MAC array", start + 330, start + 362, "linear", stream))
        bars.append(s.ScheduleBar("output", start + 362, start + 373, "out", stream))
    return s.Schedule(
        "simulated", "schedule, equal to Verilator", units, tuple(bars), 0, streams * step, streams
    )


def areas() -> s.Areas:
    ecp5 = (
        s.AreaRow("LUT", 21_380, 83_640),
        s.AreaRow("FF", 17_204, 83_640),
        s.AreaRow("DSP", 94, 156),
        s.AreaRow("BRAM", 71, 208),
    )
    xilinx = (
        s.AreaRow("LUT", 9_210, 63_400),
        s.AreaRow("FF", 11_020, 126_800),
        s.AreaRow("DSP", 263, 240),
    )
    return s.Areas(
        (
            s.Area("placed", "nextpnr-ecp5 0.11.1", "LFE5U-85F", ecp5),
            s.Area(
                "estimated",
                "yosys synth_xilinx 0.70",
                "XC7A100T",
                xilinx,
                "7-series netlist, not placed.",
            ),
        )
    )


def all_series() -> tuple[s.Series, ...]:
    names = ("lstm0.W_x", "lstm0.W_r", "lstm1.W_x", "lstm1.W_r", "linear.W")
    curves = [
        tuple(0.4 * math.exp(-(0.5 + 0.05 * j) * i) + 2e-4 * j for i in range(13))
        for j in range(len(names))
    ]
    matrices = tuple(
        s.MatrixConvergence(name, curve) for name, curve in zip(names, curves, strict=True)
    )
    rows = (
        s.SizeRow("dense", 230_912, 229_504, 32, 230_912),
        s.SizeRow("compressed", 30_096, 28_688, 32, 40_854),
        s.SizeRow("integer", 30_096, 28_688, 12, 40_854),
    )
    faults = (
        s.Fault("one weight word", f"{GATES}.rows, step 3, lane 5"),
        s.Fault("one sigmoid entry", "lstm0.cell, step 17, lane 90"),
        s.Fault("one schedule step", "linear, step 0, lane 0"),
    )
    return (
        about(),
        s.Sizes("measured", "counted from the arrays", rows),
        s.Convergence("measured", "ADMM callback", matrices),
        s.NetworkPicture("measured", "counted from the integer model", layers(), edges(), "9f31c2"),
        s.Utterances(
            "measured",
            "golden model",
            "Free Spoken Digit Dataset, held-out recordings",
            "40 log-mel",
            10.0,
            (utterance(),),
        ),
        schedule(),
        areas(),
        s.Power(
            "estimated", "ernn.estimate.power", "LFE5U-85F", ("static 0.23 W (M)", "uncalibrated")
        ),
        s.Clocks(
            "placed",
            "nextpnr-ecp5 0.11.1",
            "LFE5U-85F-6",
            (s.ClockRun(1, 131.4), s.ClockRun(2, 118.2), s.ClockRun(3, 137.9)),
            120.0,
        ),
        s.Proof(
            "9f31c2" + 58 * "a",
            tuple(e.name for e in edges()),
            "probability 0.3 on both handshakes, seed 7",
            4,
            "",
            faults,
        ),
        s.Timings(
            "measured",
            "wall clock",
            (s.Step("train", 171.2), s.Step("compress", 142.9), s.Step("place", 88.4)),
        ),
    )


def record() -> RunRecord:
    """All of it in one record."""
    full = RunRecord()
    for path, measurement in figures().items():
        full.set(path, measurement)
    for series in all_series():
        s.put(full, series)
    return full
