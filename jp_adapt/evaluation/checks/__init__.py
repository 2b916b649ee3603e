"""Checks of answers by program: one function each, of an answer and its arguments. `jp_adapt.benchmarks.checks` has their names."""
