"""The compiled loops give the same bits in the process that compiles them and in those that load
them.
"""

import os
import subprocess
import sys
from pathlib import Path

STEPS = """
import hashlib
import numpy as np
from ernn.nn import loops

rng = np.random.default_rng(0)
total = hashlib.sha256()
for n in (24, 1000):
    for looking in (0, 3):
        new = lambda *shape: rng.standard_normal((4, *shape, n)).astype(np.float32)
        gates, bias, peephole = new(4), new(4), new(looking)
        before, after, out = new(), new(), new()
        loops.lstm_step(gates, bias, peephole, before, after, out)
        d_out, d_cell, d, d_bias, d_peephole = new(), new(), new(4), new(4), new(looking)
        loops.lstm_step_back(gates, peephole, before, after, d_out, d_cell, d, d_bias, d_peephole)
        for array in (gates, after, out, d_cell, d, d_bias, d_peephole):
            total.update(array.tobytes())
print(total.hexdigest())
"""


def test_compiled_and_loaded_loops_agree_to_the_bit(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", STEPS]
    runs = [
        subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
