"""Documents in, counted shards and packed batches out."""
