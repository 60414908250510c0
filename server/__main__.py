"""`python -m server` is `weft`."""

from server.cli import main

if __name__ == "__main__":
    main()
