"""`python -m scripts.traffic`."""

from scripts.traffic.cli import main

if __name__ == "__main__":
    main()
