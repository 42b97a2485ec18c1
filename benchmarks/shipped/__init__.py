"""Trained networks that wheels bring, with the packages' own code around them, for `zoo.py`."""
