"""Damaged files of every kind, read as the program reads them: what is no line for the user?

    python benchmarks/fuzz.py --mutations 5000 --json

Each kind runs in a process of its own, so that a crash is seen; a file that takes more than five
seconds is a failure, too.  It writes fuzz.json into --out, and every file that failed beside it,
and exits with 1 where one did.  Some minutes.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from ernn.files import write_json

sys.path.insert(0, str(Path(__file__).parents[1]))  # the kinds of files are the tests'
from tests.fuzz.harness import Found, fuzz
from tests.fuzz.kinds import KINDS, SLOW

PART = 2500
"""Mutations of one process; of a process that crashed the rest is lost."""
ALL = KINDS | SLOW
ONE_IN = 50
"""Mutations that are tried of a slow kind."""


def main() -> None:
    asked = parse()
    lines: dict[str, dict[str, Any]] = {}
    for name in asked.only or ALL:
        wanted = asked.mutations // (ONE_IN if name in SLOW else 1)
        for first in range(0, wanted, PART):
            found = apart(name, first, min(PART, wanted - first), asked.seed)
            add(lines.setdefault(name, {}), found, asked.out / "fuzz")
        print(f"{name}: {lines[name]}", file=sys.stderr)
    failed = sum(line["failed"] for line in lines.values())
    result = {"mutations": asked.mutations, "seed": asked.seed, "failed": failed, "kinds": lines}
    write_json(asked.out / "fuzz.json", result)
    print(json.dumps(result, indent=2) if asked.json else table(lines))
    raise SystemExit(1 if failed else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=5000, help="of each kind")
    parser.add_argument("--seed", type=int, default=1, help="0 is what the tests try")
    parser.add_argument("--only", action="append", choices=ALL, help="a kind; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def apart(name: str, first: int, count: int, seed: int) -> Found | str:
    """What a process of its own finds, or how it ended."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        try:
            return alone.submit(one_part, name, first, count, seed).result()
        except BrokenProcessPool as error:
            return str(error)


def one_part(name: str, first: int, count: int, seed: int) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ERNN_CACHE"] = f"{folder}/cache"
        place = Path(folder) / "files"
        place.mkdir()
        return fuzz(ALL[name](place), place, count, seed, first)


def add(line: dict[str, Any], found: Found | str, folder: Path) -> None:
    """One part to its kind's figures; failures as files."""
    for name in ("tried", "used", "failed", "seconds", "slowest"):
        line.setdefault(name, 0)
    if isinstance(found, str):
        line["failed"] += 1
        line.setdefault("crashes", []).append(found)
        return
    line["tried"] += found.tried
    line["used"] += found.read
    line["failed"] += len(found.failures)
    line["seconds"] = round(line["seconds"] + found.seconds, 2)
    line["slowest"] = max(line["slowest"], found.slowest)
    for failure in found.failures:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{failure.kind}-{failure.number}").write_bytes(failure.content)
        write_json(folder / f"{failure.kind}-{failure.number}.json", {"said": failure.said})


def table(lines: dict[str, dict[str, Any]]) -> str:
    heads = ("tried", "used", "failed", "seconds", "slowest")
    rows = [f"{'kind':<14}" + "".join(f"{head:>9}" for head in heads)]
    rows += [
        f"{name:<14}" + "".join(f"{line[head]:>9}" for head in heads)
        for name, line in lines.items()
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
