"""Learn, extend, verify, measure, encode."""
