"""Searches for the network that suits a task and a device; they are told what hardware costs."""
