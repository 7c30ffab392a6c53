"""Stands in for LiteRT on a fake board: a model is a number of milliseconds, and running it is to sleep for so long."""

__version__ = "0"
