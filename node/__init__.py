"""The box: processes, listeners, pages, metrics, command line, wiring."""
