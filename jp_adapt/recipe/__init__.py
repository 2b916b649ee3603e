"""What to run: schema, rules, loading with file:line."""
