"""From speech to a placed engine, as steps over a run directory: what the command line calls."""
