"""Structures that are one file each (docs/how-to/add-a-structure.md): what lies here is known where
plans are read.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
