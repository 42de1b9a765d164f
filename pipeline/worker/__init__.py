"""The worker: the Faust app that runs the two stages."""
