"""examples/an4.py from beginning to end, on a miniature and, where it
is, on the real corpus's files.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("an4_example", REPOSITORY / "examples" / "an4.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_miniature(root: Path, speakers: str = "abcd") -> Path:
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "an4.dic").write_text("YES   Y EH S\nNO\tN OW\n")
    for part, heard in (("train", speakers), ("test", "xy")):
        names = [f"an1-{part}{s}-b" for s in heard]
        ids = [f"clstk/{part}{s}/{name}" for s, name in zip(heard, names, strict=True)]
        (root / "etc" / f"an4_{part}.fileids").write_text("\n".join(ids) + "\n")
        (root / "etc" / f"an4_{part}.transcription").write_text(
            "\n".join(f"<s> YES NO </s> ({n})" for n in names) + "\n"
        )
        for number, fileid in enumerate(ids):
            path = root / "feat" / f"{fileid}.mfc"
            path.parent.mkdir(parents=True, exist_ok=True)
            frames = np.random.default_rng(number).normal(size=(60, 13)).astype("<f4")
            path.write_bytes(np.array([frames.size], "<i4").tobytes() + frames.tobytes())
    return root


def test_quick_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERNN_CACHE", str(tmp_path / "cache"))
    arguments = [
        str(write_miniature(tmp_path / "an4")),
        "--quick",
        "--out",
        str(tmp_path / "out"),
        "--seed",
        "1",
    ]
    example().main(arguments)
    first = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in first[:2]] == ["dense", "compressed"]
    assert "% of 10 (" in first[0] and first[2].endswith("times fewer weights, seed 1")
    example().main(arguments)  # everything is trained already: the same results at once
    assert capsys.readouterr().out.splitlines() == first
