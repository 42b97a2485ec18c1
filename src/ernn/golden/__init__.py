"""The golden model: an `IntegerModel` executed in integers, the obvious way and a fast one that is equal to it."""

from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.golden.run import Stream, run, run_all, trace
from ernn.golden.headroom import saturation

__all__ = ["Stream", "dequantize_output", "quantize_input", "run", "run_all", "saturation", "trace"]
