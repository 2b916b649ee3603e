"""What lies in a folder, found and shown: a table of runs, and a local page that is alive."""
