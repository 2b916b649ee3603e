"""Tensors of several models into one; search over a callable score."""
