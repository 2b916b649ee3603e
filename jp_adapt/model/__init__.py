"""Load, rows, LoRA, attention, sizes."""
