"""How to talk to the products that artifacts are replicated from and to."""
