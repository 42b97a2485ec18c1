"""ADMM: training draws weights towards a set (E-RNN, HPCA 2019; Boyd et al. 2011, section 3).

Minimises f(W) subject to W in S in the scaled dual form (docs/explanation/equations.md):

    W <- a few epochs on f(W) + sum_l rho_l/2 ||W_l - Z_l + U_l||^2     the loop's, with `penalty()`
    Z <- projection of W + U;  U <- U + W - Z                           `update()`
    W <- projection of W                                                `finish()`

It needs nothing but a model and its loss:

    admm = Admm(model, CompressionPlan.blocks(8))
    for epoch in range(epochs):
        for batch in data:
            (loss(model, batch) + admm.penalty()).backward(); ...
        admm.update()
    admm.finish()
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ernn.compress.plan import CompressionPlan, NamedMatrix, compressed
from ernn.compress.sets import project
from ernn.errors import UserError


@dataclass(frozen=True)
class Residual:
    """State of one matrix after an update; both are relative to ||W||.

    primal: ||W - Z||, how far the weight is from the set. dual: ||Z - previous Z||, how far the
    target still moves. rho: the relative one (see `Admm`) that held until this update.
    """

    update: int
    matrix: str
    primal: float
    dual: float
    rho: float


class Admm:
    """ADMM on the matrices of `module` that `plan` compresses; train it dense first.

    rho: weight of the penalty, relative to each matrix: rho_l = rho / ||W_l||^2 at the start,
    so that being off by as much as the matrix itself costs rho/2, whatever its size.  Every
    update multiplies rho by `growth` up to `most`, and divides the scaled dual by as much
    (Boyd et al. 2011, section 3.4.1).

    balance: above 0, each matrix has its own share of rho besides, doubled or halved at an update
    whose relative primal and dual residuals differ by more than this factor (residual balancing,
    with the normalisation of Wohlberg 2017:
    ||W - Z|| / max(||W||, ||Z||) and ||Z - previous Z|| / ||U||).
    """

    def __init__(
        self,
        module: nn.Module,
        plan: CompressionPlan,
        rho: float = 1.0,
        growth: float = 1.3,
        most: float = 1e3,
        balance: float = 0.0,
    ) -> None:
        if not (0 < rho <= most and growth >= 1):
            raise UserError(
                f"ADMM needs 0 < rho <= most and growth >= 1, not {rho}, {most} and {growth}"
            )
        if balance and not balance > 1:
            raise UserError(
                f"residuals are balanced by a factor above 1, or 0 for not at all, not by {balance}"
            )
        self.matrices = compressed(module, plan)
        if not self.matrices:
            raise UserError("the plan leaves every matrix dense: there is nothing for ADMM to do")
        self.rho, self.growth, self.most, self.balance = rho, growth, most, balance
        self.residuals: list[Residual] = []
        self._share = [1.0 for _ in self.matrices]
        self._updates = 0
        with torch.no_grad():
            self._z = [project(m.weight, m.structure).clone() for m in self.matrices]
            self._u = [torch.zeros_like(z) for z in self._z]
            self._scale = [
                float(1 / m.weight.square().sum().clamp(min=1e-12)) for m in self.matrices
            ]

    def penalty(self) -> Tensor:
        """sum_l rho_l/2 ||W_l - Z_l + U_l||^2, a scalar to add to the loss."""
        scales = [share * scale for share, scale in zip(self._share, self._scale, strict=True)]
        terms = zip(self.matrices, self._z, self._u, scales, strict=True)
        distances = [scale * (m.weight - z + u).square().sum() for m, z, u, scale in terms]
        return self.rho / 2 * torch.stack(distances).sum()

    @torch.no_grad()
    def update(self) -> list[Residual]:
        """The Z and U steps; call it every one to few epochs. Returns and keeps the residuals."""
        self._updates += 1
        latest = [self._update_one(index, matrix) for index, matrix in enumerate(self.matrices)]
        self.residuals.extend(latest)
        self._raise_rho()
        return latest

    @torch.no_grad()
    def finish(self) -> None:
        """Hard projection, in place: every matrix of the plan is in its set afterwards."""
        for matrix in self.matrices:
            matrix.weight.copy_(project(matrix.weight, matrix.structure))

    def distance(self) -> float:
        """Largest ||W - Z|| / ||W|| of the latest update; infinite before the first."""
        return max(
            (r.primal for r in self.residuals if r.update == self._updates), default=float("inf")
        )

    def converged(self, tolerance: float) -> bool:
        """Whether the latest update left all primal and dual residuals at
        `tolerance` (of ||W||) or less.
        """
        latest = [r for r in self.residuals if r.update == self._updates]
        return bool(latest) and max(max(r.primal, r.dual) for r in latest) <= tolerance

    def _update_one(self, index: int, matrix: NamedMatrix) -> Residual:
        weight, before = matrix.weight, self._z[index]
        after = project(weight + self._u[index], matrix.structure)
        self._z[index], self._u[index] = after, self._u[index] + weight - after
        size = float(weight.norm().clamp(min=1e-12))
        primal, dual = float((weight - after).norm()) / size, float((after - before).norm()) / size
        rho = self.rho * self._share[index]
        if self.balance:
            self._balance(
                index, float((weight - after).norm()), float((after - before).norm()), size
            )
        return Residual(self._updates, matrix.name, primal, dual, rho)

    def _balance(self, index: int, primal: float, dual: float, size: float) -> None:
        relative_primal = primal / max(size, float(self._z[index].norm()))
        relative_dual = dual / max(float(self._u[index].norm()), 1e-12)
        factor = 1.0
        if relative_primal > self.balance * relative_dual:
            factor = 2.0
        elif relative_dual > self.balance * relative_primal:
            factor = 0.5
        self._share[index] *= factor
        self._u[index] = self._u[index] / factor

    def _raise_rho(self) -> None:
        raised = min(self.rho * self.growth, self.most)
        for dual in self._u:
            dual.mul_(self.rho / raised)
        self.rho = raised

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as tensors and plain values: `load_state_dict` goes on from there."""
        names = [m.name for m in self.matrices]
        return {
            "z": dict(zip(names, self._z, strict=True)),
            "u": dict(zip(names, self._u, strict=True)),
            "scale": dict(zip(names, self._scale, strict=True)),
            "share": dict(zip(names, self._share, strict=True)),
            "rho": self.rho,
            "updates": self._updates,
            "residuals": [asdict(r) for r in self.residuals],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UserError where the state is of other matrices."""
        names = [m.name for m in self.matrices]
        if list(state["z"]) != names:
            raise UserError(
                f"this ADMM state is of {', '.join(state['z'])}, the plan compresses "
                f"{', '.join(names)}"
            )
        self._z = [state["z"][name].clone() for name in names]
        self._u = [state["u"][name].clone() for name in names]
        self._scale = [state["scale"][name] for name in names]
        self._share = [state["share"][name] for name in names]
        self.rho, self._updates = state["rho"], state["updates"]
        self.residuals = [Residual(**r) for r in state["residuals"]]
