"""What several tests share: real tokenizers and small real-architecture models."""
