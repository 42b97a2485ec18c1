"""Every page with Python on it runs as it stands, from an empty folder, with nothing beforehand.

docs/how-to/deploy.md runs in tests/cli/test_path.py, docs/how-to/verify.md in test_verify_page.py,
docs/reference/python.md in tests/api/test_docstrings.py.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import ernn.flow.place
import ernn.flow.synthesise
from ernn.compress.sets import project
from ernn.pipeline import placing
from ernn.train import stages
from ernn.train.spec import TrainSpec
from tests.brief import search_briefly
from tests.cli.test_commands import AREA, PLACEMENT
from tests.pages import ROOT, blocks, follow

Follow = Callable[[str], tuple[dict[str, Any], str]]


@pytest.fixture
def followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Follow:
    """Python's names at a page's end, and what was printed.

    Yosys and nextpnr have tests of their own (tests/flow); here their answers are given.
    """
    monkeypatch.chdir(tmp_path)
    search_briefly(monkeypatch)
    monkeypatch.setattr(ernn.flow.synthesise, "synthesise", lambda verilog, device: AREA)
    monkeypatch.setattr(ernn.flow.place, "place", lambda verilog, device, **options: PLACEMENT)
    monkeypatch.setattr(placing, "synthesise", lambda verilog, device: AREA)
    monkeypatch.setattr(placing, "place_and_route", lambda verilog, device, **options: PLACEMENT)
    torch.manual_seed(0)
    return lambda page: (follow(ROOT / page), capsys.readouterr().out)


def test_module_to_verilog_and_a_placed_clock_in_ten_lines(followed: Follow) -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    assert len(block.text.splitlines()) == 10
    _, said = followed("README.md")
    assert "2,560 integers, 0 differ: passed" in said and "100.0 MHz placed" in said
    assert "module ernn_engine" in Path("out/engine/ernn_engine.v").read_text()


def test_own_network(followed: Follow) -> None:
    _, said = followed("docs/how-to/own-network.md")
    assert "240 frames, 2,400 integers, 0 differ: passed" in said
    assert Path("out/classifier/ernn_engine.v").exists()


def test_onnx(followed: Follow) -> None:
    names, _ = followed("docs/how-to/onnx.md")
    assert names["mask"].shape == (40, 1, 5) and np.allclose(names["mask"].sum(-1), 1)
    assert Path("mask/report.html").exists()


def test_runtime(followed: Follow) -> None:
    names, _ = followed("docs/how-to/runtime.md")
    for number, whole in enumerate(names["recordings"]):
        assert np.array_equal(names["scores"][:, number], names["model"].predict(whole)[:5])


def test_tools(followed: Follow) -> None:
    names, _ = followed("docs/how-to/tools.md")
    assert Path("out/rtl/ernn_engine.v").exists()
    assert names["result"].violations == ()
    assert names["area"] is AREA and names["placement"] is PLACEMENT


def test_compress(followed: Follow) -> None:
    names, _ = followed("docs/how-to/compress.md")
    for name, weight in names["network"].named_parameters():
        if "weight_hh" in name or "weight_ih" in name:
            gates = weight.detach().unflatten(0, (3, -1))
            assert torch.allclose(project(gates, ernn.BlockCirculant(8)), gates, atol=1e-6)
    frames = torch.randn(6, 40)
    expected = names["layer"](frames[None])[0][0].detach().numpy()
    outputs, _ = names["converted"].predict_float(frames).values()  # and its last state
    assert abs(outputs - expected).max() < 1e-5


def test_corpora(followed: Follow) -> None:
    assert "latency: 1040 samples" in followed("docs/how-to/corpora.md")[1]


def test_report(followed: Follow) -> None:
    followed("docs/how-to/report.md")
    assert "131.4" in Path("out/own/report.html").read_text(encoding="utf-8")


def test_engine(followed: Follow) -> None:
    """What is stated there besides: tests/examples/test_engine_page.py."""
    names, said = followed("docs/explanation/engine.md")
    assert len(said.splitlines()) == 5
    text = (ROOT / "docs/explanation/engine.md").read_text(encoding="utf-8")
    section = text[text.index("| bound |") :]
    assert [bound for bound in names["plan"].bounds if f"| {bound} |" not in section] == []


def test_add_a_structure(followed: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "add-a-structure", ModuleType("add-a-structure"))
    names, said = followed("docs/how-to/add-a-structure.md")
    assert "numbers instead of 6144" in said
    names["test_laws"]()
    names["test_training_inside"]()


def test_no_page_is_left_out() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    runnable = [page for page in pages if any(blocks(page, "python", "pycon", "sh"))]
    text = Path(__file__).read_text(encoding="utf-8")
    assert [page for page in runnable if str(page.relative_to(ROOT)) not in text] == []


def test_own_data(followed: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes, labels a frame and numbers: each to an engine that is verified, placed, reported.

    Training has tests of its own (tests/train); here it ends after a few epochs, and engines have
    two elements.
    """
    whole = stages.fit

    def briefly(model: Any, task: Any, spec: TrainSpec, *others: Any, **options: Any) -> Any:
        return whole(model, task, replace(spec, epochs=min(spec.epochs, 5)), *others, **options)

    monkeypatch.setattr(stages, "fit", briefly)
    search_briefly(monkeypatch, pes=2)
    _, said = followed("docs/how-to/own-data.md")
    assert said.count("verify.mismatches") == 3 and "verify.mismatches: 0 integers" in said
    for name in ("vowels", "frames", "move"):
        kept = json.loads(Path(f"out/{name}/record.json").read_text())
        assert (
            kept["verify"]["mismatches"]["value"] == 0 and kept["verify"]["frames"]["value"] >= 100
        )
        assert kept["clock_mhz"]["value"] == PLACEMENT.median_mhz
        assert kept["error_rate"]["integer"]["value"] < 80
        assert Path(f"out/{name}/report.html").exists()
