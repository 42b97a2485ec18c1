"""The how-to page on tools says what works."""

import re
from pathlib import Path

import numpy as np
import pytest
from designs import Scaler

from ernn.flow.cache import Cache

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tools.md"


def test_verilog_and_simulation_as_shown(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two blocks run as they stand, with a small design as the engine;
    the others have their own tests.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ERNN_CACHE", str(cache.root))
    names: dict[str, object] = {"engine": Scaler(16, 16, (2,))}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for block in blocks[:2]:
        exec(block, names)
    assert (tmp_path / "out" / "rtl" / "ernn_engine.v").exists()
    assert not np.any(names["result"].outputs.data)  # type: ignore[attr-defined]
    for block in blocks[2:]:
        compile(block, str(PAGE), "exec")
