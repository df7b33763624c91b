"""Fixtures that any test may ask for."""

from tests.postgres import database, databases, postgres

__all__ = ["database", "databases", "postgres"]
