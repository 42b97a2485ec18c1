"""The golden model: an `IntegerModel` executed in integers, the obvious way and a fast one that is equal to it."""

from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.golden.headroom import saturation
from ernn.golden.run import Stream, run, run_all, trace

__all__ = ["Stream", "dequantize_output", "quantize_input", "run", "run_all", "saturation", "trace"]
