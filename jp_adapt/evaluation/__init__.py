"""Prompts -> answers -> scores -> comparisons, judges."""
