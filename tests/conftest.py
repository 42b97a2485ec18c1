"""Makes pytest put the repository root on the path, for `from tests.models import ...` in any
folder.
"""
