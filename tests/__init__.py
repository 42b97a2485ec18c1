"""Tests. A package, so that its shared builders import as `tests.models`."""
