"""ernn: recurrent networks to small, fast, proven FPGA accelerators.

    import ernn

    model = ernn.convert(module, speech)            # your torch module, some typical utterances
    print(model.error(held_out))                    # how far its integers are from its floats
    engine = ernn.design(model, "LFE5U-25F")        # the best engine found for a device
    print(engine.verify(held_out))                  # simulated hardware equals the integers
    engine.write("out/engine")                      # Verilog
    print(engine.build())                           # area and clock, placed and routed

| name | what it is |
|---|---|
| `CompressionPlan`, `BlockCirculant` | which structure each matrix gets |
| `project` | a module's weights to the nearest ones that a plan allows |
| `convert` | a torch module or an ONNX file to a `Model` |
| `Model` | a network in floats and integers: `predict`, `error`, `save`, `load`, `stream` |
| `QuantizeSpec`, `DataBits` | bits of weights and data |
| `design` | the best engine for a device |
| `Design` | the free choices of an engine, by hand |
| `Engine` | an accelerator: `compile`, `verify`, `write`, `build` |
| `Stream` | frames in, frames out, state kept |
| `Sequences`, `fit` | your own sequences with what is to be said of each; a network trained on it |
| `Run` | the run directory of a trained network, and every step up to the placed engine |
| `PrecisionWarning` | said of integers too far from the floats, and of values that were clipped |
| `UserError` | what is raised for a mistake in what you gave |

The command line is `ernn --help`; the parts behind these names are the folders of this package.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ernn.api import Engine, Model, Stream, convert, design, project
    from ernn.compress.plan import CompressionPlan
    from ernn.data.arrays import Sequences
    from ernn.errors import PrecisionWarning, UserError
    from ernn.ir.edges import DataBits
    from ernn.ir.structure import BlockCirculant
    from ernn.pipeline.as_python import Run, fit
    from ernn.quantization.quantize import QuantizeSpec
    from ernn.scheduling.design import Design

_FROM = {
    "BlockCirculant": "ernn.ir.structure",
    "CompressionPlan": "ernn.compress.plan",
    "DataBits": "ernn.ir.edges",
    "Design": "ernn.scheduling.design",
    "Engine": "ernn.api",
    "Model": "ernn.api",
    "PrecisionWarning": "ernn.errors",
    "QuantizeSpec": "ernn.quantization.quantize",
    "Run": "ernn.pipeline.as_python",
    "Sequences": "ernn.data.arrays",
    "Stream": "ernn.api",
    "UserError": "ernn.errors",
    "convert": "ernn.api",
    "design": "ernn.api",
    "fit": "ernn.pipeline.as_python",
    "project": "ernn.api",
}
"""Where each name lives; it is loaded when it is first asked for, so importing ernn is quick."""

__all__ = [
    "BlockCirculant",
    "CompressionPlan",
    "DataBits",
    "Design",
    "Engine",
    "Model",
    "PrecisionWarning",
    "QuantizeSpec",
    "Run",
    "Sequences",
    "Stream",
    "UserError",
    "convert",
    "design",
    "fit",
    "project",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("ernn")
    if name not in _FROM:
        raise AttributeError(f"module 'ernn' has no attribute {name!r}")
    from ernn.errors import naming_extras

    with naming_extras():
        value = getattr(import_module(_FROM[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM})
