"""Your own torch module to verified Verilog: integers, an engine, its simulation equal to them."""

import numpy as np
import torch
from torch import Tensor, nn

import ernn


class Words(nn.Module):
    """Which of 10 words was said: two LSTM layers, and a Linear on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.word = nn.LSTM(13, 32, num_layers=2, batch_first=True), nn.Linear(32, 10)

    def forward(self, frames: Tensor) -> Tensor:
        return self.word(self.lstm(frames)[0][:, -1])


torch.manual_seed(0)
module = Words()  # your trained module
rng = np.random.default_rng(0)
speech = [rng.normal(size=(40, 13)) for _ in range(6)]  # your utterances, (time, features)

plan = ernn.CompressionPlan.blocks(8)  # recurrent layers in blocks of 8
ernn.project(module, plan)  # with training it keeps its accuracy: docs/how-to/compress.md
model = ernn.convert(module, speech[:4], plan)
print(model.error(speech[4:]))
engine = ernn.design(model, "LFE5U-25F")  # or ernn.Engine(model, ernn.Design(pes=4, streams=2))
print(engine.verify(speech))
print(f"a frame every {engine.cycles_per_frame:g} cycles; alone, one takes {engine.latency}")
print("Verilog:", engine.write("out/own_lstm"))
