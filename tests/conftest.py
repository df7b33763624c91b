"""Fixtures that any test may ask for."""

from postgres import database, databases, postgres

__all__ = ["database", "databases", "postgres"]
