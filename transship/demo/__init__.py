"""`make demo`: two registries and a stack that live for a few seconds, and what a user would type between them."""
