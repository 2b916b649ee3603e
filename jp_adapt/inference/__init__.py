"""A model is asked: likelihoods and texts, here, in vLLM, or behind an endpoint."""
