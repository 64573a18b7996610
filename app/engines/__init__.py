"""A bundle in, probabilities out."""
