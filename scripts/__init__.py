"""What a person types: run, test, traffic, lab peers, benchmarks."""
