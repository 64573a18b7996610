"""Sentopic's training: labelled text in, sealed bundles out."""
