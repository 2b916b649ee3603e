"""What may be measured: benchmarks, judges, published scores, and their items."""
