"""Searches for the network that suits a task and a device. They train; what hardware they ask for
is told to them.
"""
