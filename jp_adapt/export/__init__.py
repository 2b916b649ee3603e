"""What leaves: a plain folder with its proof and card."""
