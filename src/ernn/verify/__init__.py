"""The proof: golden, simulated RTL and netlist give the same integers."""

from ernn.verify.prove import cycles_of, measure_cycles, prove, simulator_of

__all__ = ["cycles_of", "measure_cycles", "prove", "simulator_of"]
