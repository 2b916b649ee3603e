"""How a judge model is asked, and what its verdicts are worth."""
