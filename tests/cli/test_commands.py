"""The program as a user meets it: fast help, one-line errors, --json everywhere, and
the path command after command.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

import ernn
from ernn.cli import console
from ernn.cli.app import app, run
from ernn.flow.place import CriticalPath, Placed, Placement
from ernn.flow.synthesise import Area
from ernn.pipeline import demo
from ernn.pipeline.run import Outcome, Run
from ernn.pipeline.steps import STEPS
from ernn.report.record import Measurement

PATH = CriticalPath("a", "b", 9.0, 4.0, 5.0)
RUNS = tuple(
    Placed(seed, mhz, {}, PATH, 1.0, Path("log"))
    for seed, mhz in ((1, 90.0), (2, 110.0), (3, 100.0))
)
PLACEMENT = Placement("LFE5U-25F", 6, 150.0, "nextpnr-ecp5 0", RUNS)
AREA = Area(1234, 567, 8, 9, 162, 0, 0, {}, "pyosys 0", 1.0, Path("log"))

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
IN_ORDER = [
    "demo",
    "train",
    "compress",
    "quantize",
    "evaluate",
    "design",
    "build",
    "verify",
    "synth",
    "place",
    "export",
    "bitstream",
    "report",
]
SEARCHING = ["explore", "search", "recommend", "compare", "sensitivity", "robustness", "deltas"]
OWN = ["import"]
LOOKING = ["corpus", "devices", "doctor"]


def test_commands_are_listed_in_the_order_of_the_path() -> None:
    assert list(COMMANDS) == IN_ORDER + OWN + SEARCHING + LOOKING


@pytest.mark.parametrize("name", IN_ORDER + OWN + SEARCHING + LOOKING)
def test_every_command_has_help_and_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert COMMANDS[name].help


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from ernn.cli.app import run; run(['--help']); print([m for m in ('torch', "
        "'lightning', 'numba', 'amaranth', 'matplotlib', 'pyosys') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compress", "nowhere"], "ernn: nowhere is not a run directory (no run.json): begin with"),
        (["design", "nowhere"], "ernn: nowhere is not a run directory (no run.json): begin with"),
        (
            ["design", "nowhere", "--device", "XC9"],
            "ernn: no device called 'XC9'; known are LFE5U-25F,",
        ),
        (
            ["design", "nowhere", "--for", "speed"],
            "ernn: a search is for throughput or latency, not 'speed'",
        ),
        (["corpus", "timit"], "ernn: corpus 'timit' is read from your disk; give its folder"),
        (["corpus", "nonsense"], "ernn: no corpus is called 'nonsense'; the corpora are digits,"),
        (
            ["train", "--out", "x", "--cell", "gru", "--hidden", "8", "--peepholes"],
            "ernn: a GRU has no peepholes",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "x", "--stall", "1.5"]) == 2
    assert "--stall" in capsys.readouterr().err


def _interrupted() -> Any:
    raise KeyboardInterrupt


def _interrupted_in_lightning() -> Any:
    try:
        _interrupted()
    except KeyboardInterrupt:
        raise SystemExit(1)  # noqa: B904 - as Lightning does


@pytest.mark.parametrize("work", [_interrupted, _interrupted_in_lightning])
def test_an_interrupt_is_status_130_and_says_what_is_kept(
    work: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        console.step(work, as_json=False)
    assert ended.value.code == 130
    assert "interrupted" in capsys.readouterr().err


def test_what_libraries_print_does_not_reach_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with console.working():
        print("noise")
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "noise\n"


def test_doctor_finds_every_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = {tool["name"] for tool in found["tools"]}
    assert names >= {"pyosys", "verilator", "nextpnr-ecp5"}
    assert {"train", "hardware"} <= {
        part["name"] for part in found["extras"] if not part["missing"]
    }


@pytest.mark.parametrize("start", [["-m", "ernn"], ["-c", "import ernn.cli; ernn.cli.main()"]])
def test_the_version(start: list[str]) -> None:
    command = [sys.executable, *start, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"ernn {ernn.__version__}\n"


def test_h_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-h"]) == run(["design", "-h"]) == 0
    assert "--device" in capsys.readouterr().out


def test_corpus_counts_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["corpus", "digits", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [split["split"] for split in found["splits"]] == ["train", "validation", "test"]
    assert all(split["frames"] > 2000 for split in found["splits"])


def test_demo_walks_every_step_then_writes_the_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are replaced by ones that say their name: tested are the
    walk, its output and its status.
    """

    def fake(name: str) -> Any:
        def work(found: Run, seed: int) -> Outcome:
            found.record.set(
                "verify.mismatches", Measurement(seed, "integers", "simulated", "test")
            )
            return Outcome(
                name,
                found.folder,
                0.5,
                False,
                (("fps", Measurement(7, "frames/s", "placed", "test")),),
            )

        return work

    names = [step.name for step in STEPS if step.name != "import"]  # the other beginning
    assert len(demo.STEPS) == len(names)
    monkeypatch.setattr(demo, "STEPS", tuple(demo.DemoStep(name, fake(name)) for name in names))
    monkeypatch.setattr(demo, "finish", lambda found: found.path("report.html"))
    monkeypatch.setattr(
        "ernn.pipeline.hardware.disagreement", lambda found: "3 output integers differ"
    )
    assert run(["demo", "--out", str(tmp_path), "--seed", "3", "--json"]) == 1
    shown = capsys.readouterr()
    assert [step["step"] for step in json.loads(shown.out)["steps"]] == names
    assert f"[{len(names)}/{len(names)}] place" in shown.err and "seed 3" in shown.err
    assert shown.err.endswith("ernn: 3 output integers differ\n")
