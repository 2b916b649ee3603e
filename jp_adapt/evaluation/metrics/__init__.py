"""The metrics, and the libraries and papers they come from."""
