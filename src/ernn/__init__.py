"""ernn: recurrent networks to small, fast, proven FPGA accelerators."""
