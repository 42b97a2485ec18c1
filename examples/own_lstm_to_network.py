"""Your own torch module to a network: every layer a plain value, checked
against the module on random frames.
"""

import torch
from torch import Tensor, nn

from ernn.ir.reference import run
from ernn.nn.importer import import_torch


class Classifier(nn.Module):
    """Which of 10 words was said: two LSTM layers and a Linear on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=13, hidden_size=32, num_layers=2, batch_first=True)
        self.word = nn.Linear(32, 10)

    def forward(self, frames: Tensor) -> Tensor:
        output, _ = self.lstm(frames)
        return self.word(output[:, -1])


torch.manual_seed(0)
module = Classifier()  # trained, in your case: load your state_dict here
network = import_torch(module, torch.zeros(1, 50, 13))

for layer in network.layers:
    print(f"{type(layer).__name__}: {layer.input_size} -> {layer.output_size}")
print(f"{network.stored_weights} weights, output of the last step only: {network.last_step}")

frames = torch.randn(70, 13)
outputs, _ = run(network, frames.double().numpy())
print(
    "largest difference from the module: "
    f"{abs(outputs[0] - module(frames[None])[0].detach().numpy()).max():.1e}"
)
