"""Your own torch module as a network: layers as plain arrays, checked against the module."""

import torch
from torch import Tensor, nn

import ernn


class Classifier(nn.Module):
    """Which of 10 words was said: two LSTM layers, and a Linear on the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=13, hidden_size=32, num_layers=2, batch_first=True)
        self.word = nn.Linear(32, 10)

    def forward(self, frames: Tensor) -> Tensor:
        output, _ = self.lstm(frames)
        return self.word(output[:, -1])


torch.manual_seed(0)
module = Classifier()  # trained, in your case: load your state_dict here
model = ernn.convert(module, [torch.randn(50, 13) for _ in range(3)])

network = model.network
for layer in network.layers:
    print(f"{layer.cell.title}: {layer.input_sizes[0]} -> {layer.output_size}")
print(f"{network.stored_weights} weights, output of the last step only: {network.last_step}")

frames = torch.randn(70, 13)
expected = module(frames[None]).detach().numpy()
for name, outputs in ("floats", model.predict_float(frames)), ("integers", model.predict(frames)):
    print(f"largest difference from the module, {name}: {abs(outputs - expected).max():.1e}")
