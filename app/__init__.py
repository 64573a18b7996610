"""Sentopic's service: trained bundles in, HTTP answers out."""

__version__ = "0.1.0"
