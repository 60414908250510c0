"""The words every layer uses: no I/O, no framework."""
