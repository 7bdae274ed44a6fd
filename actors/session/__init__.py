"""One actor per subscriber session."""
