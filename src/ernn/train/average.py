"""A running average of a model's weights, steadier than they are (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ernn.errors import UserError


class Average:
    """The exponential average of `model`'s parameters over the steps of its training.

    decay: share that stays at a step, 0.998 for a memory of about 500 steps. Early on it is at most
    (1 + n) / (10 + n) at step n, so that the first weights are soon forgotten. Of a model inside a
    set, the stored numbers are averaged: the set is linear, so the average is in it. Raises
    UserError where decay is not above 0 and below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise UserError(f"an average's decay must be above 0 and below 1, not {decay}")
        self._model, self._decay, self._steps = model, decay, 0
        self._kept = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Call it after every step of the optimizer."""
        self._steps += 1
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        for name, parameter in self._model.named_parameters():
            self._kept[name].lerp_(parameter, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the model holds the average, afterwards its own weights again."""
        own = {
            name: parameter.detach().clone() for name, parameter in self._model.named_parameters()
        }
        self._write(self._kept)
        try:
            yield
        finally:
            self._write(own)

    @torch.no_grad()
    def _write(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self._model.named_parameters():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, object]:
        return {"steps": self._steps, "kept": self._kept}

    def load_state_dict(self, state: dict) -> None:
        self._steps, self._kept = (
            state["steps"],
            {name: tensor.clone() for name, tensor in state["kept"].items()},
        )
