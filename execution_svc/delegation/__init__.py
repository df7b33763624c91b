"""Delegation: how tasks become jobs of the jobservice, over a stream that may break at any moment."""
