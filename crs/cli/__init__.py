"""The command line: ``python -m crs COMMAND``. Every command imports what it needs when it runs."""
