"""Structures of one file each (docs/how-to/add-a-structure.md); plans know what lies here."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
