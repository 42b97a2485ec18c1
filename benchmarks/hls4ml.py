"""The golden model against hls4ml's C simulation of the same GRU or LSTM:
microseconds a frame, one core, one run.

    python3.11 -m venv /tmp/hls4ml && /tmp/hls4ml/bin/pip install hls4ml==1.3.0 torch
    python benchmarks/hls4ml.py --python /tmp/hls4ml/bin/python --hidden 64 --json

Both say what an accelerator will compute, bit by bit, on a CPU.  hls4ml's is the C++ that it gives
to the synthesis tool, compiled by g++ (backend Vitis, io_parallel, ap_fixed<16,6>, dense weights);
golden runs the same cell in blocks of 8, 12-bit weights, 16-bit data.  Input: 64 features for 64
cells, 160 for more.  Weights are random, seed 0.

The Python given with --python needs hls4ml and torch and is a process of its own.  The two take
turns; times are the CPU time of the one that is asked, median over the turns.  A call of hls4ml
costs something whatever its frames: `call` is a long sequence's time by its frames, all included,
`frame` the difference of a long and a short one, divided by that of their lengths.
"""

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

STACK = 1 << 30


def sequences(hidden: int) -> tuple[int, int]:
    """Frames that hls4ml simulates in a short and in a long call."""
    return (20, 220) if hidden <= 128 else (2, 22)


def main() -> None:
    arguments = parse()
    if arguments.simulate:
        simulate(arguments.simulate, arguments.hidden, arguments.strategy, arguments.work)
        return
    if not arguments.python:
        print(
            "not run: --python must be given, a Python that has hls4ml 1.3.0 and torch (this file "
            "says how to make one)"
        )
        return
    # hls4ml's functions keep whole layers on the stack: of an LSTM of 1024 cells, more than the
    # usual 8 MB
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    result = about(arguments)
    for cell in arguments.cells:
        result[cell] = compared(arguments, cell)
        print(f"{cell}: {result[cell]}", file=sys.stderr, flush=True)
    print(json.dumps(result, indent=2) if arguments.json else sentence(result, arguments.cells))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"hls4ml-{arguments.hidden}.json").write_text(
        json.dumps(result, indent=2) + "\n"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", type=Path, help="a Python that has hls4ml and torch")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--cells", nargs="+", choices=["gru", "lstm"], default=["gru", "lstm"])
    parser.add_argument(
        "--strategy", choices=["Latency", "Resource"], default="Latency", help="hls4ml's"
    )
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("build/hls4ml"), help="hls4ml's projects")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--simulate", choices=["gru", "lstm"], help=argparse.SUPPRESS)
    return parser.parse_args()


def about(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "kind": "measured",
        "command": shlex.join(["python", "benchmarks/hls4ml.py", *sys.argv[1:]]),
        "hidden": arguments.hidden,
        "inputs": inputs(arguments.hidden),
        "strategy": arguments.strategy,
        "frames_a_call": sequences(arguments.hidden),
        "load_before": round(os.getloadavg()[0], 1),
    }


def inputs(hidden: int) -> int:
    return min(hidden, 160)


def compared(arguments: argparse.Namespace, cell: str) -> dict[str, Any]:
    golden = golden_frame(cell, arguments.hidden)
    command = [
        str(arguments.python),
        "-P",
        __file__,
        "--simulate",
        cell,
        "--hidden",
        str(arguments.hidden),
    ]
    with subprocess.Popen(
        [*command, "--strategy", arguments.strategy, "--work", str(arguments.work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        version = answer(other)
        (few, many), ours, calls, frames = sequences(arguments.hidden), [], [], []
        for _ in range(arguments.turns):
            ours.append(timed(golden, 100) / 100)
            short, long = (float(time) for time in answer(other).split())
            calls.append(long / many)
            frames.append((long - short) / (many - few))
        assert other.stdin is not None
        other.stdin.close()
    return {
        "hls4ml": version,
        "golden_us": round(median(ours), 2),
        "hls4ml_frame_us": round(median(frames), 1),
        "times_slower": round(median(frames) / median(ours), 1),
        "hls4ml_call_us": round(median(calls), 1),
        "times_slower_by_call": round(median(calls) / median(ours), 1),
    }


def answer(other: "subprocess.Popen[str]") -> str:
    """The child's next `answer: ...`; hls4ml prints much besides."""
    assert other.stdin is not None and other.stdout is not None
    other.stdin.write("go\n")
    other.stdin.flush()
    for line in other.stdout:
        if line.startswith("answer: "):
            return line.removeprefix("answer: ").strip()
    raise SystemExit(f"{other.args} ended before it answered")


def timed(work: Any, times: int) -> float:
    """CPU microseconds."""
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) * 1e6


def golden_frame(cell: str, hidden: int) -> Any:
    import numpy as np

    from ernn.golden import Compiled, Plain, Stream, quantize_input, run
    from ernn.ir.network import Network
    from ernn.quantization.quantize import quantize

    sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' random layers are ours too
    from tests.models import random_gru, random_lstm, structure_of

    rng = np.random.default_rng(0)
    layer = (random_gru if cell == "gru" else random_lstm)(
        rng, inputs(hidden), hidden, structure_of(8)
    )
    frames = rng.normal(size=(40, inputs(hidden)))
    model = quantize(Network((layer,)), [frames])
    integers = quantize_input(model, frames)
    assert np.array_equal(run(model, integers[:5], Plain), run(model, integers[:5], Compiled))
    stream = Stream(model)
    return lambda: stream.push(integers[:1])


def simulate(cell: str, hidden: int, strategy: str, work: Path) -> None:
    """In the other Python, with -P since this file has the name of the package:
    time a sequence a line of input.
    """
    import hls4ml
    import numpy as np
    import torch

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = (torch.nn.GRU if cell == "gru" else torch.nn.LSTM)(
                inputs(hidden), hidden, batch_first=True
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            output, _ = self.rnn(x)
            return output

    def call(frames: int) -> Any:
        project, x = converted(frames)
        project.predict(x)
        return lambda: project.predict(x)

    def converted(frames: int) -> tuple[Any, Any]:
        torch.manual_seed(0)
        module, shape = Layer().eval(), (frames, inputs(hidden))
        config = hls4ml.utils.config_from_pytorch_model(
            module, shape, default_precision="ap_fixed<16,6>"
        )
        config["Model"]["Strategy"] = strategy
        project = hls4ml.converters.convert_from_pytorch_model(
            module,
            output_dir=str(work / f"{cell}-{hidden}-{strategy}-{frames}"),
            hls_config=config,
            backend="Vitis",
            io_type="io_parallel",
        )
        project.compile()
        return project, np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)

    calls = [call(frames) for frames in sequences(hidden)]
    sys.stdin.readline()
    print(f"answer: {hls4ml.__version__}", flush=True)
    for _ in sys.stdin:
        print("answer:", *(timed(one, 1) for one in calls), flush=True)


def sentence(result: dict[str, Any], cells: list[str]) -> str:
    def line(r: dict[str, Any]) -> str:
        ratios = (
            f"{r['times_slower']} times slower, {r['times_slower_by_call']} with what a call costs"
        )
        return f"golden {r['golden_us']} us a frame, hls4ml {r['hls4ml_frame_us']} us, {ratios}"

    return "\n".join(f"{cell} {result['hidden']}: {line(result[cell])}" for cell in cells)


if __name__ == "__main__":
    main()
