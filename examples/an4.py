"""AN4: a dense network for phones and its block-circulant form, from cepstra to error rates.

    python examples/an4.py /path/to/an4_cepstra            # the whole recipe
    python examples/an4.py /path/to/an4_cepstra --quick    # a few steps, to see that it works

Its results are in docs/results/accuracy-an4.md. The network is chosen on held-out training
speakers; the test speakers are heard once, at the end. A run that is stopped goes on where it was
when started again.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ernn.compress.plan import CompressionPlan, stored_weights
from ernn.data.an4 import An4
from ernn.nn.spec import LayerSpec
from ernn.train.recipes import AN4, Recipe
from ernn.train.task import Prepared


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("root", type=Path, help="the corpus's folder, with etc/ and feat/")
    parser.add_argument("--out", type=Path, default=Path("out/an4"), help="checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="a tiny network and two epochs a stage"
    )
    chosen = parser.parse_args(arguments)
    recipe = quick(AN4) if chosen.quick else AN4
    train(
        recipe.with_seed(chosen.seed),
        An4(chosen.root, held_out=1 if chosen.quick else 8),
        chosen.out,
    )


def quick(recipe: Recipe) -> Recipe:
    return replace(recipe.with_epochs(2, 2, 2), layers=(LayerSpec("gru", 16),))


def train(recipe: Recipe, corpus: An4, out: Path) -> None:
    data = Prepared(corpus, recipe.features)
    model = recipe.model(data.task)
    dense = recipe.train_dense(model, data.task, out)
    dense_weights = stored_weights(model, CompressionPlan())
    print(f"dense: {data.score(model)}, {dense_weights:,} weights, {dense.seconds:.0f} s")
    towards, inside = recipe.compress(model, data.task, out)
    weights, seconds = stored_weights(model, recipe.plan), towards.seconds + inside.seconds
    print(f"compressed: {data.score(model)}, {weights:,} weights, {seconds:.0f} s")
    print(f"{dense_weights / weights:.1f} times fewer weights, seed {recipe.dense.seed}")


if __name__ == "__main__":
    main()
