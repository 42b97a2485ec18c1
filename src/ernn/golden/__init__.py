"""The golden model: an `IntegerModel` executed in integers, the obvious way and a fast one that is
equal to it.
"""

from ernn.golden.boundary import dequantize_output, quantize_input, quantize_inputs
from ernn.golden.compiled import Compiled
from ernn.golden.headroom import saturation
from ernn.golden.machine import Plain
from ernn.golden.precision import precision
from ernn.golden.run import run, run_all, trace
from ernn.golden.streaming import Stream, Streams

__all__ = [
    "Compiled",
    "Plain",
    "Stream",
    "Streams",
    "dequantize_output",
    "precision",
    "quantize_input",
    "quantize_inputs",
    "run",
    "run_all",
    "saturation",
    "trace",
]
