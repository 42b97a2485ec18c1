"""Phase I of E-RNN: the network for a task, a device and an accuracy limit, in few trainings.

The paper's own steps: docs/reference/published.md.

1. The smallest block size with which the LSTM's weights fit the device's on-chip memory is the
   lower bound; the upper one is the largest that still saves a worthwhile share of the dense
   network's multiplications.
2. The dense LSTM is trained: it sets the limit, and is where compression starts.
3. The largest block size that keeps the accuracy, by bisection.
4. A GRU instead: dense, and compressed to the same block size.
5. Larger blocks for the output matrix, and the input matrices where `mixed` allows several sizes.

Every training is a trial of a `Bench`, every decision goes to a `Log`; validation examples judge.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.estimate.device import Device
from ernn.ir.structure import BLOCK_SIZES, block_size
from ernn.nn.spec import ModelSpec
from ernn.search.cost import Cost, cost, savings
from ernn.search.limit import Limit
from ernn.search.log import Log
from ernn.search.trial import Bench, CompressedTrial, DenseTrial, Result
from ernn.train.solvers import Solver
from ernn.train.spec import TrainSpec


@dataclass(frozen=True)
class Prediction:
    """What the engine for the device would take: cycles a frame, multipliers and the clock assumed
    for them; and bits of the numbers that it keeps, of one stream: weights, filled up to words,
    constants and states.
    """

    cycles_per_frame: float
    multipliers: int
    mhz: float
    bits: int


Predict = Callable[[ModelSpec, CompressionPlan], Prediction | None]
"""Cycles of a shape on the device; None where the engine cannot run it or does not fit."""


@dataclass(frozen=True)
class Question:
    """What is asked.

    lstm, gru: the network to start from, and the one to try instead.  dense, solver: how they are
    trained. memory: share of the device's block RAM that weights, constants and states may take.
    worth: a larger block size is worthwhile while it saves at least this share of the dense
    network's multiplications.  trainings: at most so many. mixed: input matrices may have larger
    blocks than recurrent ones. signed: whether columns of blocks have signs.
    """

    device: Device
    limit: Limit
    lstm: ModelSpec
    gru: ModelSpec
    dense: TrainSpec
    solver: Solver
    weight_bits: int = 12
    data_bits: int = 16
    memory: float = 0.9
    worth: float = 0.03
    trainings: int = 6
    mixed: bool = False
    signed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.memory <= 1:
            raise UserError(
                "memory is a share of the device's block RAM, above 0 and at most 1, not "
                f"{self.memory}"
            )
        if self.trainings < 2:
            raise UserError(
                "a search needs at least 2 trainings, a dense and a compressed one, not "
                f"{self.trainings}"
            )

    @property
    def bits(self) -> int:
        """On-chip bits that may be used."""
        return int(self.memory * 1024 * (self.device.block_ram.value + self.device.ultra_ram.value))


@dataclass(frozen=True)
class CompressedNetwork:
    """A network of Phase I: its trial, what it reached, and what it costs."""

    trial: CompressedTrial
    result: Result
    cost: Cost
    block: int
    prediction: Prediction | None


class Explorer:
    """The procedure over one bench; `explore()` is it."""

    def __init__(self, question: Question, bench: Bench, log: Log, predict: Predict) -> None:
        self.question, self.bench, self.log, self.predict = question, bench, log, predict
        self.trained: list[Result] = []

    def explore(self) -> CompressedNetwork | None:
        """The best network within the limit, None where no trial was; the log says why."""
        asked = self.question
        blocks = self._bounds(asked.lstm, "LSTM")
        dense = DenseTrial(asked.lstm, asked.dense)
        reached = self._train(dense).validation
        limit = asked.limit.percent(reached)
        self.log.add(
            "dense LSTM",
            f"at most {limit:.2f} % ({asked.limit}) of validation labels may be wrong",
            validation=reached,
            limit=limit,
            trainings=len(self.trained),
        )
        best = self._largest(dense, blocks, limit)
        best = self._try_gru(best, limit)
        if best is None:
            self.log.add("end", "no network within the limit", trainings=len(self.trained))
            return None
        best = self._refine(best, limit)
        self._conclude(best, limit)
        return best

    # --- the steps

    def _bounds(self, model: ModelSpec, what: str) -> list[int]:
        """Block sizes worth a training, ascending; UserError where not even the largest fits."""
        asked, spent = self.question, savings(model)
        bits = {k: self._cost(model, self._blocks(k)).bits for k in BLOCK_SIZES}
        fitting = [k for k in BLOCK_SIZES if bits[k] <= asked.bits]
        if not fitting:
            raise UserError(
                f"{what}: even in blocks of {BLOCK_SIZES[-1]} it takes {bits[BLOCK_SIZES[-1]]:,} "
                f"bits, {asked.memory:.0%} of {asked.device.name}'s block RAM are {asked.bits:,}: "
                "choose a larger device or fewer units"
            )
        lower, least = fitting[0], asked.worth * spent[1]
        upper = max(
            [
                lower,
                *(
                    large
                    for small, large in pairwise(BLOCK_SIZES)
                    if spent[small] - spent[large] >= least
                ),
            ]
        )
        blocks = [k for k in BLOCK_SIZES if max(2, lower) <= k <= upper] or [2]
        self.log.add(
            f"bounds {what}",
            f"blocks of {blocks[0]} to {blocks[-1]}: {lower} is the smallest that fits, beyond "
            f"{upper} a doubling saves less than {asked.worth:.0%} of the dense multiplications",
            bits=bits,
            bits_allowed=asked.bits,
            multiplications=spent,
        )
        return blocks

    def _largest(
        self, dense: DenseTrial, blocks: list[int], limit: float
    ) -> CompressedNetwork | None:
        """The largest of `blocks` that keeps the accuracy, by
        bisection, within this step's trainings.
        """
        best: CompressedNetwork | None = None
        reserved = 3 if self.question.trainings >= 5 else 0  # the GRU's two and one to refine
        low, high = 0, len(blocks) - 1
        while low <= high and self._left() > reserved:
            middle = (low + high) // 2
            found = self._compress(dense, blocks[middle])
            kept = found.result.validation <= limit
            self._judge(f"LSTM block {blocks[middle]}", found, limit)
            best = found if kept else best
            low, high = (middle + 1, high) if kept else (low, middle - 1)
        chosen = f"block {best.block}" if best else "no block size tried"
        self.log.add(
            "largest block",
            f"{chosen} keeps the accuracy",
            tried=len(self.trained) - 1,
            limit=limit,
        )
        return best

    def _try_gru(self, best: CompressedNetwork | None, limit: float) -> CompressedNetwork | None:
        """The GRU where it keeps the accuracy with fewer weights, or where nothing else did."""
        if self._left() < 2:
            self.log.add("GRU", "not tried: it takes two trainings", left=self._left())
            return best
        blocks = self._bounds(self.question.gru, "GRU")
        dense = DenseTrial(self.question.gru, self.question.dense)
        reached = self._train(dense).validation
        if reached > limit:
            self.log.add(
                "GRU",
                "not compressed: the dense one is beyond the limit",
                validation=reached,
                limit=limit,
            )
            return best
        self.log.add(
            "dense GRU",
            "within the limit",
            validation=reached,
            limit=limit,
            trainings=len(self.trained),
        )
        block = best.block if best and best.block in blocks else blocks[0]
        found = self._compress(dense, block)
        kept = self._judge(f"GRU block {block}", found, limit)
        if kept and (best is None or found.cost.weights < best.cost.weights):
            self.log.add(
                "cell", "GRU", weights=found.cost.weights, lstm=best.cost.weights if best else None
            )
            return found
        self.log.add(
            "cell", "LSTM" if best else "none yet", weights=best.cost.weights if best else None
        )
        return best

    def _refine(self, best: CompressedNetwork, limit: float) -> CompressedNetwork:
        """Larger blocks where they cost least: output matrix; with `mixed`, input matrices."""
        larger = self._finer(best.trial.plan, best.block)
        if larger == best.trial.plan or not self._left():
            self.log.add("finer blocks", "not tried", left=self._left())
            return best
        found = self._trial(CompressedTrial(best.trial.start, larger, self.question.solver))
        if self._judge("finer blocks", found, limit) and found.cost.weights < best.cost.weights:
            return found
        return best

    def _conclude(self, best: CompressedNetwork, limit: float) -> None:
        predicted = best.prediction
        self.log.add(
            "end",
            f"{best.trial.model.layers[0].cell.upper()} in blocks of {best.block}",
            validation=best.result.validation,
            limit=limit,
            weights=best.cost.weights,
            dense_weights=self._cost(best.trial.model, CompressionPlan()).weights,
            bits=best.cost.bits,
            multiplications=best.cost.multiplications,
            predicted_cycles_per_frame=predicted.cycles_per_frame if predicted else None,
            trainings=len(self.trained),
        )

    # --- what they are made of

    def _judge(self, step: str, found: CompressedNetwork, limit: float) -> bool:
        kept = found.result.validation <= limit
        self.log.add(
            step,
            "within the limit" if kept else "beyond the limit",
            validation=found.result.validation,
            limit=limit,
            weights=found.cost.weights,
            bits=found.cost.bits,
            multiplications=found.cost.multiplications,
            predicted_cycles_per_frame=found.prediction.cycles_per_frame
            if found.prediction
            else None,
            trainings=len(self.trained),
        )
        return kept

    def _compress(self, start: DenseTrial, block: int) -> CompressedNetwork:
        """The output matrix, small and near the labels, stays dense until the end."""
        return self._trial(CompressedTrial(start, self._blocks(block), self.question.solver))

    def _blocks(self, block: int, output: int = 1) -> CompressionPlan:
        return CompressionPlan.blocks(block, output, signed=self.question.signed)

    def _trial(self, trial: CompressedTrial) -> CompressedNetwork:
        result = self._train(trial)
        block = block_size(trial.plan.recurrent)
        return CompressedNetwork(
            trial,
            result,
            self._cost(trial.model, trial.plan),
            block,
            self.predict(trial.model, trial.plan),
        )

    def _train(self, trial: DenseTrial | CompressedTrial) -> Result:
        self.trained.append(self.bench.result(trial))
        return self.trained[-1]

    def _cost(self, model: ModelSpec, plan: CompressionPlan) -> Cost:
        return cost(model, plan, self.question.weight_bits, self.question.data_bits)

    def _left(self) -> int:
        return self.question.trainings - len(self.trained)

    def _finer(self, plan: CompressionPlan, block: int) -> CompressionPlan:
        finer = replace(plan, output=self._blocks(block, output=block).output)
        if not self.question.mixed or 2 * block not in BLOCK_SIZES:
            return finer
        return replace(finer, input=self._blocks(2 * block).input)
