"""`python -m transship.cli` is `transship`."""

from transship.cli.main import main

if __name__ == "__main__":
    main()
