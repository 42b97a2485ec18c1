"""What `ernn export --c` writes, compiled strictly and run under sanitizers, against golden."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import run
from ernn.golden.source import c_source
from ernn.ir.integer_model import IntegerModel
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.golden.test_compiled import LONGEST, LOW, linear, loudest
from tests.golden.test_golden import any_frames
from tests.golden.test_networks import NETWORKS
from tests.models import in_blocks_of, random_frames, random_integer_model, random_network

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
CHECKED = ("-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
MAIN = """
#include <stdio.h>
#include "ernn.h"

int main(void)
{
    static ernn_number x[ERNN_INPUTS], y[ERNN_OUTPUTS];
    long long value;
    ernn_reset();
    for (int i = 0; scanf("%lld", &value) == 1; i = (i + 1) % ERNN_INPUTS) {
        x[i] = (ernn_number)value;
        if (i < ERNN_INPUTS - 1)
            continue;
        if (ernn_frame(x, y) != 0)
            ernn_reset();
        else
            for (int j = 0; j < ERNN_OUTPUTS; j++)
                printf("%lld ", (long long)y[j]);
    }
    return 0;
}
"""


def outputs_in_c(model: IntegerModel, frames: np.ndarray, folder: Path) -> np.ndarray:
    """A frame that is out of range resets the network."""
    header, body = c_source(model)
    for name, text in (("ernn.h", header), ("ernn.c", body), ("main.c", MAIN)):
        (folder / name).write_text(text)
    program = folder / "run"
    subprocess.run(
        ["cc", *STRICT, *CHECKED, "ernn.c", "main.c", "-o", program], cwd=folder, check=True
    )
    given = " ".join(map(str, frames.ravel().tolist()))
    printed = subprocess.run([program], input=given, capture_output=True, text=True, check=True)
    return np.array(printed.stdout.split(), np.int64).reshape(-1, model.output_size)


MODELS = {
    "lstm in blocks": {"cell": "lstm", "projection": 6, "peepholes": True, "states": True},
    "lstm, dense": {"cell": "lstm", "layers": 2, "outputs": 3, "block": 1},
    "gru, reset after": {"cell": "gru", "block": 16, "outputs": 5, "states": True, "hidden": 20},
    "gru, reset before": {"cell": "gru", "reset": "before", "block": 2, "input_size": 7},
    "in 64 bits": {"spec": QuantizeSpec(18, 18, 9), "cell": "lstm", "peepholes": True, "block": 8},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_integer_is_goldens(name, tmp_path):
    rng = np.random.default_rng(len(name))
    model = random_integer_model(rng, **MODELS[name])
    frames = any_frames(rng, model, 4)
    beyond = np.full_like(frames[:1], model.input.format.high + 1)
    found = outputs_in_c(model, np.concatenate([frames, beyond, frames]), tmp_path)
    np.testing.assert_array_equal(found, np.tile(run(model, frames), (2, 1)))


def test_a_block_size_for_each_matrix(tmp_path):
    rng = np.random.default_rng(2)
    network = random_network(rng, cell="lstm", projection=9, input_size=13, outputs=5, states=True)
    network = in_blocks_of(rng, network, (1, 2, 4, 8))
    model = quantize(network, [random_frames(rng, network)])
    frames = any_frames(rng, model, 4)
    np.testing.assert_array_equal(outputs_in_c(model, frames, tmp_path), run(model, frames))


def test_delays_skips_and_outputs_of_several_formats(tmp_path):
    network, rng = NETWORKS["skips, blocks of 4"], np.random.default_rng(3)
    model = quantize(network, [random_frames(rng, network)])
    frames = any_frames(rng, model, 6)
    np.testing.assert_array_equal(outputs_in_c(model, frames, tmp_path), run(model, frames))
    fracs = [signal.format.frac for signal in model.results]
    header = (tmp_path / "ernn.h").read_text()
    assert f"ERNN_OUTPUT_FRAC_0 {fracs[0]} /* of y[0] .. y[2] */" in header
    assert f"ERNN_OUTPUT_FRAC_1 {fracs[1]} /* of y[3] .. y[10] */" in header


def test_sums_of_several_chunks(tmp_path):
    model = linear(2 * LONGEST + 1, -(1 << 11))
    frames = np.tile(loudest(model, LOW, LOW), 2 * LONGEST + 1)[None]
    np.testing.assert_array_equal(outputs_in_c(model, frames, tmp_path), run(model, frames))


def test_a_network_that_needs_the_whole_utterance_is_refused():
    model = random_integer_model(np.random.default_rng(1), cell="gru", bidirectional=True)
    with pytest.raises(UserError, match="l1 runs backward and needs the whole utterance"):
        c_source(model)
