"""Dry runs: what an execution would do, found out by the steps of the flow that change nothing."""
