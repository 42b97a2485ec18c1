"""Every long command killed at random moments, and begun again: are the results those of one that
was left alone, and has nothing outlived it?

    python benchmarks/kill.py --kills 50 --json

The commands run one after another over networks of a few units, once undisturbed; then, as often as
it takes, in a new folder with a cache of its own, each with some SIGKILLs before its end.  Files
are compared byte for byte, JSON without what a clock measured.  It writes kill.json into --out and
exits with 1 where something differs or is left.  Twenty minutes on two cores.
"""

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ernn.files import write_json

SMALL = "--hidden 8 --layers 1 --epochs 2"
FEW = "--towards 1 --inside 1"
COMMANDS = {
    "train": f"train --out run {SMALL}",
    "sensitivity": "sensitivity run",
    "recommend": f"recommend run --budget 1.2kB --trials 6 {FEW}",
    "compress": f"compress run --block 2 {FEW}",
    "quantize": "quantize run",
    "evaluate": "evaluate run",
    "robustness": "robustness run --utterances 20",
    "deltas": "deltas run --utterances 20",
    "design": "design run --device LFE5U-25F --streams 2",
    "build": "build run",
    "verify": "verify run --frames 100",
    "synth": "synth run",
    "place": "place run --seeds 2",
    "bitstream": "bitstream run --board ulx3s-25f --clock-mhz 50",
    "report": "report run",
    "compare": f"compare digits --hidden 8 --epochs 1 {FEW} --seeds 1 --times 4 --jobs 2 "
    "--only pruned --only 'low rank' --work compare",
    "explore": f"explore digits {SMALL} {FEW} --limit 'dense + 50' --trainings 3 --out explore",
    "search": f"search digits --hidden 4,8 --layers 1 --blocks 2,4 --epochs 1 {FEW} --trials 6 "
    "--out search",
    "demo": "demo --out demo",
}
MOST_KILLS = 3
"""Of one command in a round."""
GONE = 10.0
"""Seconds within which all that a killed command has started must have ended, on a busy machine."""
MARK = "ERNN_KILL_MARK"
MEASURED = ("seconds", "cpu_seconds")
"""Keys of JSON, and ends of a figure's path, whose value a clock gave."""


@dataclass
class Command:
    """What its kills came to. seconds: undisturbed. left: all files then, by name.

    last_end: seconds after a kill until nothing ran any more, at most.
    """

    seconds: float
    left: dict[str, Any]
    kills: int = 0
    last_end: float = 0.0
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    asked = parse()
    names = asked.only or list(COMMANDS)
    shutil.rmtree(asked.work, ignore_errors=True)
    whole, chance, kills = asked.work / "whole", random.Random(asked.seed), 0
    found = {n: Command(alone(whole, COMMANDS[n]), content(whole)) for n in needed(names)}
    for number in count(1):
        one_round(asked.work / f"round{number}", found, names, chance)
        kills = sum(one.kills for one in found.values())
        if kills >= asked.kills:
            break
    lines = {name: asdict(found[name]) | {"left": len(found[name].left)} for name in names}
    result = {"kills": kills, "seed": asked.seed, "commands": lines}
    write_json(asked.out / "kill.json", result)
    print(json.dumps(result, indent=2) if asked.json else table(found))
    raise SystemExit(1 if any(one.wrong for one in found.values()) else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="in all, at least")
    parser.add_argument("--only", action="append", choices=COMMANDS, help="may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--work", type=Path, default=Path("out/kill"))
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def needed(names: Sequence[str]) -> list[str]:
    """These commands, and those before them on the path whose results they use."""
    order = list(COMMANDS)
    path = [name for name in order if "run" in COMMANDS[name].split()]
    last = max((path.index(name) for name in names if name in path), default=-1)
    return [name for name in order if name in names or name in path[:last]]


def alone(folder: Path, command: str) -> float:
    """Seconds of a command that nobody disturbs."""
    began = time.monotonic()
    running = start(folder, command, "alone")
    if code := running.wait():
        raise SystemExit(f"`ernn {command}` in {folder} ended with {code}: {folder}/log")
    return round(time.monotonic() - began, 2)


def one_round(
    folder: Path, found: dict[str, Command], names: Sequence[str], chance: random.Random
) -> None:
    """All commands once more, those that are named killed on the way to their ends."""
    for name, one in found.items():
        if name not in names:
            alone(folder, COMMANDS[name])
            continue
        disturbed(folder, COMMANDS[name], one, chance)
        wrong = sorted(differing(one.left, content(folder)))
        one.wrong += [f"{folder.name}: {file}" for file in wrong]
        told = f"{one.kills} kills, {len(one.wrong)} wrong"
        print(f"{folder.name}: {name}: {told} {wrong}", file=sys.stderr, flush=True)


def disturbed(folder: Path, command: str, one: Command, chance: random.Random) -> None:
    """A command to its end, by way of some kills."""
    mark = f"{os.getpid()} {time.monotonic_ns()}"
    for _ in range(MOST_KILLS):
        running = start(folder, command, mark)
        try:
            running.wait(chance.uniform(0.05, 1) * one.seconds)
            break
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            one.kills += 1
            one.last_end = max(one.last_end, until_gone(mark))
            if left := still_there(mark):
                one.wrong.append(f"{folder.name}: processes outlive it: {left}")
    alone(folder, command)


def start(folder: Path, command: str, mark: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    own = {MARK: mark, "ERNN_CACHE": str(folder.absolute() / "cache"), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ernn", *shlex.split(command)],
            cwd=folder,
            env=os.environ | own,
            stdout=log,
            stderr=log,
        )


def until_gone(mark: str) -> float:
    """Seconds until nothing of a killed command runs any more, or too many of them."""
    began = time.monotonic()
    while still_there(mark) and time.monotonic() - began < GONE:
        time.sleep(0.002)
    return round(time.monotonic() - began, 3)


def still_there(mark: str) -> list[str]:
    """Programs that have inherited the mark, wherever they have put themselves."""
    sought, there = f"{MARK}={mark}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if sought in (process / "environ").read_bytes():
                there.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return there


def differing(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Files that one of them lacks, or that say something else."""
    yield from (n for n in first.keys() & second.keys() if first[n] != second[n])
    yield from (f"{name} is missing" for name in first.keys() - second.keys())
    yield from (f"{name} is left over" for name in second.keys() - first.keys())


def content(folder: Path) -> dict[str, Any]:
    """Every file: its bytes; of JSON the values, but those that a clock gave.

    Checkpoints say where they lie and how long an epoch took, and logs and journals what was begun,
    some of it twice, and when: what follows from them is compared.
    """
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        kept = path.suffix not in (".ckpt", ".log", ".journal") and name != "log"
        kept = kept and not name.startswith("cache/")
        if kept and path.is_file():
            data = path.read_bytes()
            found[name] = timeless(json.loads(data)) if path.suffix == ".json" else data
    return found


def timeless(value: Any) -> Any:
    if isinstance(value, list):
        return [timeless(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: timeless(one) for name, one in value.items() if name not in MEASURED}


def table(found: dict[str, Command]) -> str:
    rows = [f"{'command':<12}{'kills':>7}{'wrong':>7}{'alone, s':>10}{'last to end, s':>16}"]
    rows += [
        f"{name:<12}{one.kills:>7}{len(one.wrong):>7}{one.seconds:>10}{one.last_end:>16}"
        for name, one in found.items()
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
