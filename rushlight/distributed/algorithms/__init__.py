"""Ways to train in several processes, beside the collectives."""
