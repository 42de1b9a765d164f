"""`python -m pipeline.cli` is `trueup`."""

from pipeline.cli.app import main

main()
