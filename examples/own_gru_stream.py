"""Your own GRU on live streams: in pieces in software, four streams at a time in hardware."""

import numpy as np
import torch
from torch import nn

import ernn

torch.manual_seed(0)
module = nn.GRU(8, 16, batch_first=True)  # your trained module
sound = [torch.randn(60, 8).numpy() for _ in range(8)]  # (time, features)
model = ernn.convert(module, sound)

stream = model.stream()
pieces = [stream.push(sound[0][start : start + 7]) for start in range(0, 60, 7)]
assert np.array_equal(np.concatenate(pieces), model.predict(sound[0]))  # as of the whole
print("last output:", pieces[-1][-1, :4].round(3))

engine = ernn.Engine(model, ernn.Design(pes=8, streams=4))  # recording i goes to stream i modulo 4
print(engine.verify(sound))
print(f"a frame every {engine.cycles_per_frame:g} cycles; alone, one takes {engine.latency}")
