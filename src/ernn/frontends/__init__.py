"""Networks as people have them, PyTorch and ONNX, to `ernn.ir.network` and a part on the host."""
