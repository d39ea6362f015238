"""``python -m crs``: see crs/cli."""

from crs.cli.app import main

if __name__ == "__main__":
    main()
