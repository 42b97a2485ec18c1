"""A part that is not installed is one line that says what to install, whatever command needs it.

The modules of extras are refused by a finder in a process of its own, so that nothing has to be
installed or taken away; every command is called there once.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import numpy as np
import pytest
import typer

from ernn import errors
from ernn.cli.app import app
from ernn.compress.plan import CompressionPlan
from ernn.errors import extras
from ernn.ir import serialization as codec
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline.kept import MODEL, NETWORK
from ernn.pipeline.run import Run
from ernn.quantization.quantize import quantize
from tests.models import random_frames, random_network

COMMANDS = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
ONE = ["--pes", "1", "--streams", "1"]  # a search that ends at once
ARGUMENTS = {
    "demo": ["--out", "demo"],
    "train": ["--out", "new", "--corpus", "nonsense"],
    "explore": ["nonsense"],
    "search": ["nonsense"],
    "recommend": ["nonsense", "--budget", "9kB"],
    "compare": ["nonsense"],
    "design": ["design", *ONE],
    "import": ["net.onnx", "--data", "sequences.npz", "--out", "new"],
    "corpus": [],
    "devices": [],
    "doctor": [],
}
"""Of those that need more or less than RUN; none that trains."""
WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in refused:
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

refused = sys.argv[1].split()
sys.meta_path[:] = map(Without, sys.meta_path)
"""
CALLS = """
import contextlib, io, json, os
from ernn.cli.app import run

def work(calls):
    said = {}
    for name, arguments in calls.items():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(arguments)
        said[name] = [status, err.getvalue().splitlines()]
    return said

for folder, modules, calls in json.loads(sys.argv[2]):
    child = os.fork()
    if not child:
        refused[:] = modules
        os.chdir(folder)
        with open("said.json", "w") as file:
            json.dump(work(calls), file)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, folder
"""
"""What needs no extra is imported once; each folder's calls are then in a process of their own."""


def without(modules: set[str], code: str, *arguments: str) -> str:
    """What `code` prints in a process in which these modules cannot be found."""
    command = [sys.executable, "-c", WITHOUT + code, " ".join(modules), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a network in integers, as if it had been trained."""
    begun, rng = Run(tmp_path_factory.mktemp("begun") / "run"), np.random.default_rng(0)
    network = random_network(rng, "gru", input_size=4, hidden=2, outputs=1, block=1)
    task = {"corpus": "digits", "title": "digits", "corpus_seed": 0, "identity": "", "features": {}}
    model = ModelSpec(4, (LayerSpec("gru", 2),), 1).to_dict()
    begun.perform("train", {"task": task, "model": model, "train": {"seed": 0}}, lambda: None)
    plan = {"plan": CompressionPlan().to_dict(), "solver": "ADMM"}
    begun.perform("compress", plan, lambda: codec.save(begun.path(NETWORK), network) and None)
    integers = quantize(network, [random_frames(rng, network, 9)])
    spec = {"spec": {"weight_bits": 12, "data_bits": 16}}
    begun.perform("quantize", spec, lambda: codec.save(begun.path(MODEL), integers) and None)
    return begun.folder


PLAIN = {"corpus", "devices", "report", "export --c", "design of a file"}
"""What works with no extra at all, so with each as well."""


NONE = ""
EXTRAS = [NONE, *(name for name in extras() if name not in ("dev", "all", "zoo"))]
Said = dict[str, tuple[int, list[str]]]


def prepared(extra: str, quantized: Path, folder: Path) -> tuple[str, list[str], dict]:
    """A folder, the modules that are not there with this extra alone, and every command: with any
    extra, of those that need some.
    """
    own = set(extras()[extra]) if extra else set()
    others = {package for packages in extras().values() for package in packages} - own
    calls = {}
    for name in COMMANDS:
        shutil.copytree(quantized, folder / name)
        calls[name] = [name, *ARGUMENTS.get(name, [name])]
    shutil.copytree(quantized, folder / "c")
    calls["export --c"] = ["export", "c", "--c"]
    calls["design of a file"] = ["design", str(quantized / MODEL), *ONE]
    if extra:
        calls = {name: call for name, call in calls.items() if name not in PLAIN}
    return str(folder), sorted(package.replace("-", "_") for package in others), calls


@pytest.fixture(scope="module")
def said(quantized: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """Status and lines on standard error of every command, by the one extra that is there."""
    folders = {extra: tmp_path_factory.mktemp(f"with-{extra}") for extra in EXTRAS}
    work = [prepared(extra, quantized, folder) for extra, folder in folders.items()]
    without(set(work[0][1]), CALLS, json.dumps(work))
    return {extra: json.loads((at / "said.json").read_text()) for extra, at in folders.items()}


def test_with_none_of_them(said: dict[str, Said]) -> None:
    works = {name for name, (status, _) in said[NONE].items() if status == 0}
    assert works == PLAIN
    assert said[NONE]["doctor"][0] == 1 and "CPU build" in said[NONE]["doctor"][1][-1]
    for name in said[NONE].keys() - works - {"doctor"}:
        status, lines = said[NONE][name]
        assert status == 2 and re.search(r"is not installed: pip install 'ernn\[\w+\]'", lines[-1])


LINE = re.compile(r"ernn: .* is not installed: pip install 'ernn\[\w+\]'")
MISTAKE = re.compile(
    r"ernn: .*(no corpus is called|run `ernn|cannot read|has changed|is not there)"
)
"""What is wrong with the arguments given here, once all that a command needs is installed."""


@pytest.mark.parametrize("extra", EXTRAS[1:])
def test_with_each_of_them(extra: str, said: dict[str, Said]) -> None:
    """A command works, or its last line says what to install or what is wrong with its run."""
    for name, (status, lines) in said[extra].items():
        assert "Traceback" not in "".join(lines)
        if status and name != "doctor":
            assert LINE.match(lines[-1]) or MISTAKE.match(lines[-1]), lines
            assert f"ernn[{extra}]" not in lines[-1], lines
    if extra == "hardware":  # engines need no training
        assert said[extra]["design"][0] == said[extra]["doctor"][0] == 0
        assert "run `ernn design build` first" in said[extra]["build"][1][-1]


def test_all_that_is_imported_is_declared() -> None:
    """What comes along with something else today may not tomorrow, nor with another extra."""
    declared = {re.split(r"[^\w-]", one)[0].replace("-", "_") for one in requires("ernn") or ()}
    declared |= {"markupsafe", "serial"}  # jinja2 brings one; a board's line names the other
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
            assert modules - {"ernn"} <= declared, path


def test_the_face_says_what_to_install(quantized: Path) -> None:
    code = """
import sys
from ernn.ir.serialization import load
import ernn

network, integers = (load(path, object) for path in sys.argv[2:])
engine = ernn.Engine(ernn.Model(network, integers), ernn.Design(pes=1), "LFE5U-25F")
frames = [[0.0] * network.input_size]
for work in (
    lambda: engine.verilog,
    lambda: engine.simulator,
    lambda: engine.compile(),
    lambda: engine.verify([frames]),
    lambda: engine.write("out"),
    lambda: engine.build(),
    lambda: ernn.CompressionPlan.blocks(8),
    lambda: ernn.convert(None, [frames]),
    lambda: ernn.project(None, None),
):
    try:
        work()
    except ernn.UserError as error:
        print(error)
"""
    files = [str(quantized / name) for name in (NETWORK, MODEL)]
    said = without({"amaranth", "torch"}, code, *files).splitlines()
    assert len(said) == 9
    assert all(
        "amaranth is not installed: pip install 'ernn[hardware]'" in line for line in said[:6]
    )
    assert all("torch is not installed: pip install 'ernn[train]'" in line for line in said[6:])
