"""What leaves: a plain folder with its proof and card, GGUF, a place on the hub."""
