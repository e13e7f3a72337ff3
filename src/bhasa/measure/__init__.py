"""Measuring speed: interleaved timing, the machine and its limits, one kind of table for all of it.

`bhasa bench` measures the program alone with this; `benchmarks/` measures it beside its peers.
"""
