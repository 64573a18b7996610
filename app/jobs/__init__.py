"""Bulk files: stored, answered behind single texts, and gone on with after whatever has ended their service."""
