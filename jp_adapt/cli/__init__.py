"""One file a verb: parses, calls, exit codes."""
