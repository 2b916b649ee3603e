"""A recipe's run: folder, stages, resume, summary."""
