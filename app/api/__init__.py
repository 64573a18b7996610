"""HTTP: the one part of the service that knows it."""
