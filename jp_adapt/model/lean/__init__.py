"""A training step of frozen Llama layers with LoRA in few passes over memory: each layer two functions with gradients of their own."""
