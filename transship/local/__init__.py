"""Transship on one machine: an embedded PostgreSQL and the four services as processes of their own."""
