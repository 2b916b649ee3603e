"""Finished figures as terminal lines, drawings and pages."""
