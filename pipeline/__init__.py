"""What runs: the worker with its two stages, reports, audit, and the command."""
