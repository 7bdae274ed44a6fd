"""Traffic scripts for load testers."""
