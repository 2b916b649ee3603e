"""What leaves: plain folder with its proof and card, GGUF."""
