"""`python -m node` is `entitlement-node`."""

from node.cli import main

if __name__ == "__main__":
    main()
