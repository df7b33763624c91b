"""Flows: how an execution becomes tasks."""
