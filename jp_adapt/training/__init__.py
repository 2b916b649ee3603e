"""Losses, steps, checkpoints, shards."""
