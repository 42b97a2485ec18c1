"""Searches for the network that suits a task and a device; what hardware costs is told to them."""
