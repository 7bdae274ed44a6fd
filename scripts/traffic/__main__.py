"""`python -m scripts.traffic`."""

import logging

import structlog

from scripts.traffic.cli import main

if __name__ == "__main__":
    # The Diameter router's log would tear the display; what matters is in the failures' reasons.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    main()
