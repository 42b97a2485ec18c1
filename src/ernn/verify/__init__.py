"""The proof: golden, simulated RTL and netlist give the same integers."""

from ernn.verify.prove import measure_cycles, prove, simulator_of

__all__ = ["measure_cycles", "prove", "simulator_of"]
