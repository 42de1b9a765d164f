"""The command `trueup`. Data goes to stdout, all else to stderr; exit codes are in `pipeline.cli.exits`."""

from pipeline.cli.app import main

__all__ = ["main"]
