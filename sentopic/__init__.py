"""What programs that use the service import: `sentopic.client`. Knows nothing of `app`, which is the service."""

__version__ = "0.1.0"
