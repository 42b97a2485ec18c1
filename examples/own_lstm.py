"""Your own torch module to verified Verilog: integers, an engine, and its
simulation equal to the integers.
"""

import torch
from torch import Tensor, nn

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, structures
from ernn.golden.boundary import quantize_input
from ernn.nn.importer import import_torch
from ernn.quantization.quantize import quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify import prove, simulator_of


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.word = nn.LSTM(13, 32, num_layers=2, batch_first=True), nn.Linear(32, 10)

    def forward(self, frames: Tensor) -> Tensor:
        return self.word(self.lstm(frames)[0][:, -1])


torch.manual_seed(0)
module, plan = (
    Words(),
    CompressionPlan.blocks(8),
)  # your trained module; recurrent layers in blocks of 8
inside.project_once(module, plan)  # with training it keeps its accuracy: docs/how-to/compress.md
speech = [torch.randn(40, 13).numpy() for _ in range(6)]  # your utterances, (time, features)
network = import_torch(module, torch.zeros(1, 40, 13), structures=structures(module, plan))
model = quantize(network, speech)
engine = schedule(model, Design(pes=4, streams=2))
simulator = simulator_of(engine)
proof = prove(simulator, engine, [quantize_input(model, frames) for frames in speech])
assert proof.passed, proof.divergence
print(f"{proof.frames} frames, {proof.mismatches} of {proof.integers} integers differ")
print(
    f"{engine.cycles_per_frame} cycles a frame with both streams busy, {engine.latency} for one "
    "alone"
)
print("Verilog:", simulator.verilog.write("out/own_lstm"))
