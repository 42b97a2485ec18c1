"""The golden model as a CPU runtime against ONNX Runtime int8 and torch fp32: microseconds a frame,
one core.

    python benchmarks/golden.py --layer L16 --json

Layers: L8, L16 (LSTM 1024 cells, peepholes, projection 512, input 160, blocks of 8 or 16), G8, G16
(GRU 1024, input 160); 12-bit weights, 16-bit data, random weights (seed 0).  Every runtime gets one
frame at a time from Python on one thread and keeps its state.  They take turns, in bursts of two
milliseconds.  A frame's time is the thread's CPU time, median over the bursts: with one thread that
never waits it is the wall clock's on an idle machine, and unlike that it leaves out what other
programs took; `wall_us` has the other, and `min_us` the shortest.  Golden is checked against its
plain form first.

ONNX Runtime has no LSTM with a projection and no quantized GRU, so its cell is built from matrix
products and quantized by `quantize_dynamic`; the fastest of the forms in `FORMS` is what counts.
torch's LSTM has no peepholes.

The limit is what the multiplications alone would take: multiplications over the loop's own rate on
data in the first cache, or bytes of weights over the rate at which the same loop reads them,
whichever is longer.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from ernn.files import write_json
from ernn.golden import Compiled, Plain, Stream, Streams, quantize_input, run_all
from ernn.golden._play import ROWS, multiply, variants
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.quantization.quantize import quantize

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random layers are ours too
from tests.models import random_gru, random_lstm, structure_of

Array = np.ndarray
Frame = Callable[[], Any]

INPUT, HIDDEN, PROJECTION, SIDE_BY_SIDE = 160, 1024, 512, 16
PAIRS = 32
"""Numbers of a row that the inner loop is measured on, two by two."""
FORMS = list(product(("signed weights", "unsigned weights"), ("bound", "run")))
BURST = 0.002
"""Seconds that a turn takes."""


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    result = about() | measured(arguments.layer, arguments.turns)
    write_json(arguments.out / f"golden-{arguments.layer}.json", result)
    print(json.dumps(result, indent=2) if arguments.json else sentence(result))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--layer", choices=["L8", "L16", "G8", "G16"], default="L16")
    parser.add_argument("--turns", type=int, default=200, help="bursts of every runtime")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_args()


def about() -> dict[str, Any]:
    return {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/golden.py", *sys.argv[1:]]),
        "seed": 0,
        "machine": f"{processor()}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f} before",
        "versions": f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, Python "
        f"{platform.python_version()}",
    }


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def measured(name: str, turns: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    layer = made(rng, name)
    frames = [rng.normal(size=(40, INPUT)) for _ in range(2)]
    model = quantize(Network((layer,)), frames)
    check(model, quantize_input(model, frames[0])[:5])
    one, many = Stream(model), Streams(model, SIDE_BY_SIDE)
    x = quantize_input(model, frames[0])[:1]
    together = np.repeat(x[:, None], SIDE_BY_SIDE, axis=1)
    forms = {form: ort_int8(layer, frames[0][:1], *form) for form in FORMS}
    fastest = min(forms, key=lambda form: quickest(forms[form]))
    wall, cpu = take_turns(
        {
            "golden": lambda: one.push(x),
            "ort_int8": forms[fastest],
            "torch_fp32": torch_fp32(layer, frames[0][:1]),
            f"golden_{SIDE_BY_SIDE}_streams": lambda: many.push(together),
        },
        turns,
    )
    streams = f"golden_{SIDE_BY_SIDE}_streams"
    for times in (wall, cpu):
        times[streams] = [value / SIDE_BY_SIDE for value in times[streams]]
    limit = limits(model)
    return {
        "layer": name,
        **{f"{who}_us": round(median(times), 2) for who, times in cpu.items()},
        "min_us": {who: round(min(times), 2) for who, times in cpu.items()},
        "wall_us": {who: round(median(times), 2) for who, times in wall.items()},
        "times_faster_than": {
            who: ratio(cpu[who], cpu["golden"]) for who in ("ort_int8", "torch_fp32")
        },
        f"throughput_of_{SIDE_BY_SIDE}_streams": ratio(cpu["golden"], cpu[streams]),
        "ort_form": ", ".join(fastest),
        "limit": limit,
        "of_limit": {
            "golden": round(limit["us"] / min(cpu["golden"]), 3),
            streams: round(limit[f"us_{SIDE_BY_SIDE}_streams"] / min(cpu[streams]), 3),
        },
        "load_after": round(os.getloadavg()[0], 1),
    }


def ratio(slow: list[float], fast: list[float]) -> float:
    return round(median(slow) / median(fast), 2)


def is_lstm(layer: Layer) -> bool:
    return layer.cell.title == "LSTM"


def made(rng: np.random.Generator, name: str) -> Layer:
    structure = structure_of(int(name[1:]))
    if name[0] == "L":
        return random_lstm(rng, INPUT, HIDDEN, structure, PROJECTION, peepholes=True)
    return random_gru(rng, INPUT, HIDDEN, structure)


def check(model: IntegerModel, frames: Array) -> None:
    for plain, fast in zip(
        run_all(model, [frames], Plain), run_all(model, [frames], Compiled), strict=True
    ):
        assert np.array_equal(plain, fast), "golden's two forms differ"


# --- taking turns


def take_turns(
    who: dict[str, Frame], turns: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall and CPU microseconds a frame of every burst; two frames before each bring its weights
    back to the cache.
    """
    counts = {name: max(1, int(BURST * 1e6 / quickest(frame))) for name, frame in who.items()}
    wall: dict[str, list[float]] = {name: [] for name in who}
    cpu: dict[str, list[float]] = {name: [] for name in who}
    for _ in range(turns):
        for name, frame in who.items():
            frame()
            frame()
            times = timed(frame, counts[name])
            wall[name].append(times[0])
            cpu[name].append(times[1])
    return wall, cpu


def quickest(frame: Frame) -> float:
    """The shortest of single frames, whatever else the machine does meanwhile."""
    return min(timed(frame, 1)[1] for _ in range(100))


def timed(frame: Frame, count: int) -> tuple[float, float]:
    """Wall and CPU microseconds a frame."""
    begun, used = time.perf_counter(), time.thread_time()
    for _ in range(count):
        frame()
    used, begun = time.thread_time() - used, time.perf_counter() - begun
    return begun / count * 1e6, used / count * 1e6


# --- the others


def torch_fp32(layer: Layer, x: Array) -> Frame:
    torch.manual_seed(0)
    lstm = is_lstm(layer)
    module = (
        torch.nn.LSTM(INPUT, HIDDEN, proj_size=PROJECTION) if lstm else torch.nn.GRU(INPUT, HIDDEN)
    )
    frame, state = torch.tensor(x, dtype=torch.float32)[None], None

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = module(frame, state)

    return step


def ort_int8(layer: Layer, x: Array, weights: str, call: str) -> Frame:
    """The dense cell of the same size, its products in int8."""
    kind = QuantType.QInt8 if weights == "signed weights" else QuantType.QUInt8
    with tempfile.TemporaryDirectory() as folder:
        exact, quantized = Path(folder, "exact.onnx"), Path(folder, "int8.onnx")
        onnx.save(lstm_graph(layer) if is_lstm(layer) else gru_graph(layer), exact)
        quantize_dynamic(exact, quantized, weight_type=kind)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            str(quantized), options, providers=["CPUExecutionProvider"]
        )
    sizes = {"h": PROJECTION, "c": HIDDEN} if is_lstm(layer) else {"h": HIDDEN}
    state = {name: np.zeros((1, size), np.float32) for name, size in sizes.items()}
    return (bound if call == "bound" else called)(session, x.astype(np.float32), state)


def called(session: onnxruntime.InferenceSession, x: Array, state: dict[str, Array]) -> Frame:
    def step() -> None:
        nonlocal state
        outputs = session.run([f"{name}_next" for name in state], {"x": x, **state})
        state = dict(zip(state, outputs, strict=True))

    return step


def bound(session: onnxruntime.InferenceSession, x: Array, state: dict[str, Array]) -> Frame:
    """State stays in ONNX Runtime's memory: two bindings, each writing what the other reads."""
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    places = [{name: value(values.copy()) for name, values in state.items()} for _ in range(2)]
    bindings = []
    for before, after in (places, places[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", value(x))
        for name in state:
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(f"{name}_next", after[name])
        bindings.append(binding)
    turn = 0

    def step() -> None:
        nonlocal turn
        session.run_with_iobinding(bindings[turn])
        turn = 1 - turn

    return step


def lstm_graph(layer: Layer) -> onnx.ModelProto:
    rng, bias = np.random.default_rng(1), layer.bias("gates")
    assert bias is not None
    n = HIDDEN
    constants = {
        "w": rng.normal(size=(INPUT + PROJECTION, 4 * n)) / 26,
        "b": bias.reshape(1, -1),
        "r": rng.normal(size=(n, PROJECTION)) / 32,
        **{f"p{gate}": layer.vector(f"p_{gate}")[None] for gate in "ifo"},
    }
    nodes = [
        ("Concat", ["x", "h"], ["xh"], {"axis": 1}),
        ("MatMul", ["xh", "w"], ["products"], {}),
        ("Add", ["products", "b"], ["sums"], {}),
        ("Split", ["sums"], ["si", "sf", "sg", "so"], {"axis": 1, "num_outputs": 4}),
        *[step for gate in "if" for step in peeped(gate, "c")],
        ("Tanh", ["sg"], ["g"], {}),
        ("Mul", ["f", "c"], ["fc"], {}),
        ("Mul", ["i", "g"], ["ig"], {}),
        ("Add", ["fc", "ig"], ["c_next"], {}),
        *peeped("o", "c_next"),
        ("Tanh", ["c_next"], ["t"], {}),
        ("Mul", ["o", "t"], ["m"], {}),
        ("MatMul", ["m", "r"], ["h_next"], {}),
    ]
    return graph(
        nodes, constants, {"x": INPUT, "h": PROJECTION, "c": n}, {"h_next": PROJECTION, "c_next": n}
    )


def peeped(gate: str, cell: str) -> Iterator[tuple[str, list[str], list[str], dict[str, int]]]:
    yield "Mul", [f"p{gate}", cell], [f"q{gate}"], {}
    yield "Add", [f"s{gate}", f"q{gate}"], [f"u{gate}"], {}
    yield "Sigmoid", [f"u{gate}"], [gate], {}


def gru_graph(layer: Layer) -> onnx.ModelProto:
    rng, n = np.random.default_rng(1), HIDDEN
    constants = {
        "w": rng.normal(size=(INPUT, 3 * n)) / 13,
        "r": rng.normal(size=(n, 3 * n)) / 32,
        "bw": rng.normal(size=(1, 3 * n)) / 2,
        "br": rng.normal(size=(1, 3 * n)) / 2,
    }
    nodes = [
        ("MatMul", ["x", "w"], ["xw"], {}),
        ("MatMul", ["h", "r"], ["hr"], {}),
        ("Add", ["xw", "bw"], ["xs"], {}),
        ("Add", ["hr", "br"], ["hs"], {}),
        ("Split", ["xs"], ["xr", "xz", "xn"], {"axis": 1, "num_outputs": 3}),
        ("Split", ["hs"], ["hr_", "hz", "hn"], {"axis": 1, "num_outputs": 3}),
        ("Add", ["xr", "hr_"], ["sr"], {}),
        ("Sigmoid", ["sr"], ["gr"], {}),
        ("Add", ["xz", "hz"], ["sz"], {}),
        ("Sigmoid", ["sz"], ["gz"], {}),
        ("Mul", ["gr", "hn"], ["rn"], {}),
        ("Add", ["xn", "rn"], ["sn"], {}),
        ("Tanh", ["sn"], ["n"], {}),
        ("Sub", ["h", "n"], ["d"], {}),
        ("Mul", ["gz", "d"], ["zd"], {}),
        ("Add", ["n", "zd"], ["h_next"], {}),
    ]
    return graph(nodes, constants, {"x": INPUT, "h": n}, {"h_next": n})


def graph(
    nodes: list[tuple[str, list[str], list[str], dict[str, int]]],
    constants: dict[str, Array],
    inputs: dict[str, int],
    outputs: dict[str, int],
) -> onnx.ModelProto:
    def values(sizes: dict[str, int]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
            for name, size in sizes.items()
        ]

    made = helper.make_graph(
        [
            helper.make_node(kind, given, results, **options)
            for kind, given, results, options in nodes
        ],
        "cell",
        values(inputs),
        values(outputs),
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in constants.items()
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


# --- the limit


def limits(model: IntegerModel) -> dict[str, Any]:
    """Multiplications and bytes of weights a frame, the rates this processor reaches, the time they
    would take.
    """
    weights = np.concatenate(
        [
            operand.matrix.weights.reshape(-1, model.block)
            for part in model.layers[0].products
            for operand in part.operands
        ]
    )
    real = min(model.block, 2)
    multiplications = len(weights) * (real + 2 * (model.block - real))
    rate = best(SIDE_BY_SIDE, 2 * ROWS * 2 * PAIRS)
    bandwidth = best(1, weights.size)
    times = multiplications / rate, 2 * weights.size / bandwidth
    streams = max(times[0], times[1] / SIDE_BY_SIDE)  # weights are read once for so many
    return {
        "multiplications": multiplications,
        "weight_bytes": 2 * weights.size,
        "multiplications_per_us": round(rate),
        "bytes_per_us": round(bandwidth),
        "us": round(max(times), 2),
        f"us_{SIDE_BY_SIDE}_streams": round(streams, 2),
        "by": "multiplications" if times[0] > times[1] else "reading weights",
    }


def best(side: int, numbers: int) -> float:
    """Multiplications a microsecond of the inner loop alone, on so many weights; of one stream,
    bytes of weights a microsecond.
    """
    tiles, results = max(1, numbers // (2 * ROWS * PAIRS)), 2
    weights = np.zeros((tiles, PAIRS, ROWS, 2), np.int16)
    data = np.zeros((results, PAIRS, side, 2), np.int16)
    sums = np.zeros((results, ROWS, side), np.int32)
    times = max(1, 400_000 // (weights.size * side))
    done = weights.size * times * (results * side if side > 1 else 2)

    def microseconds() -> float:
        begun = time.thread_time()
        multiply(variants()[-1], weights, data, sums, PAIRS, results, side, times)
        return (time.thread_time() - begun) * 1e6

    return done / min(microseconds() for _ in range(200))


def sentence(result: dict[str, Any]) -> str:
    others = f"ONNX Runtime int8 {result['ort_int8_us']}, torch fp32 {result['torch_fp32_us']}"
    streams = f"{SIDE_BY_SIDE} streams {result[f'golden_{SIDE_BY_SIDE}_streams_us']}"
    limit = f"limit {result['limit']['us']} ({result['limit']['by']})"
    return (
        f"{result['layer']}: golden {result['golden_us']} us a frame, {streams}, {others}, {limit}"
    )


if __name__ == "__main__":
    main()
