"""What an operator sees of a trace: events as JSON, secrets taken out, messages as text."""
