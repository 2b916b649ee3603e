"""One file for each thing a user asks outside of a run."""
