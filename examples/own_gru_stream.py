"""Your own GRU on live streams: pieces of any length in software,
four streams at a time in hardware.
"""

import numpy as np
import torch
from torch import nn

from ernn.golden import Stream, run
from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.nn.importer import import_torch
from ernn.quantization.quantize import quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify import measure_cycles, prove, simulator_of

torch.manual_seed(0)
module = nn.GRU(8, 16, batch_first=True)  # your trained module
sound = [torch.randn(60, 8).numpy() for _ in range(8)]  # (time, features)
model = quantize(import_torch(module, torch.zeros(1, 60, 8)), sound)

stream, frames = Stream(model), quantize_input(model, sound[0])
pieces = [stream.push(frames[start : start + 7]) for start in range(0, 60, 7)]
assert np.array_equal(np.concatenate(pieces), run(model, frames)), (
    "pieces give what the whole gives"
)
print("last output:", dequantize_output(model, pieces[-1])[-1, :4].round(3))

engine = schedule(
    model, Design(pes=8, streams=4)
)  # sequence i goes to stream i modulo 4, one after another
simulator = simulator_of(engine)
proof = prove(simulator, engine, [quantize_input(model, one) for one in sound])
cycles = measure_cycles(simulator, engine, frames[0])
print(f"{proof.frames} frames, {proof.mismatches} of {proof.integers} integers differ")
print(
    f"a frame of each of 4 streams every {cycles.interval} cycles; alone, one takes "
    f"{cycles.latency}"
)
