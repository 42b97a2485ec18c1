"""The demo: every step of the path on spoken digits, small enough for ten minutes on two cores."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ernn.data.open import open_corpus
from ernn.pipeline import choosing, hardware, network, placing, sequences, summary
from ernn.pipeline.run import Outcome, Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.train.recipes import DIGITS

CORPUS = "digits"
DEVICE, STREAMS = "LFE5U-25F", 2
VERIFIED_FRAMES, STALL = 2000, 0.2
PLACE_SEEDS, TARGET_MHZ = (1, 2), 150.0


@dataclass(frozen=True)
class DemoStep:
    """What is said before it begins, and the work itself: (run, seed)."""

    title: str
    work: Callable[[Run, int], Outcome]


def _train(run: Run, seed: int) -> Outcome:
    corpus, recipe = open_corpus(CORPUS), DIGITS.with_seed(seed)
    task = sequences.describe(corpus, CORPUS, 0, recipe.features)
    return network.train(run, corpus, task, recipe.layers, recipe.dropout, recipe.dense)


def _compress(run: Run, seed: int) -> Outcome:
    recipe = DIGITS.with_seed(seed)
    return network.compress(run, recipe.plan, recipe.by_admm)


STEPS = (
    DemoStep("train a dense network on spoken digits", _train),
    DemoStep("compress it to block-circulant weights by ADMM", _compress),
    DemoStep(
        "turn it into integers",
        lambda run, seed: network.quantize_network(run, QuantizeSpec(), 200),
    ),
    DemoStep(
        "count the integer model's errors on the test split",
        lambda run, seed: network.evaluate(run),
    ),
    DemoStep(
        f"design an engine for {DEVICE}",
        lambda run, seed: hardware.design(run, choosing.request(DEVICE, streams=STREAMS)),
    ),
    DemoStep("write it as Verilog", lambda run, seed: hardware.build(run)),
    DemoStep(
        f"simulate {VERIFIED_FRAMES:,} frames and compare every integer",
        lambda run, seed: hardware.verify(run, VERIFIED_FRAMES, STALL, seed),
    ),
    DemoStep("count its area", lambda run, seed: placing.synth(run, ())),
    DemoStep(
        "place and route it", lambda run, seed: placing.place(run, PLACE_SEEDS, None, TARGET_MHZ)
    ),
)


def finish(run: Run) -> Path:
    """The page of the run."""
    return summary.write(run)
