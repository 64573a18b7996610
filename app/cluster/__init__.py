"""Bulk work on the machines of a Ray cluster. Ray is imported in processes of their own alone: see `child.py`."""
