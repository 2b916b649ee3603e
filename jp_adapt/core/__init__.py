"""Whole files, errors with exit codes, hashes, locks, progress, starting processes."""
