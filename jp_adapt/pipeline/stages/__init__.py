"""One file for each kind of stage."""
