"""Where results land: the port that the fold writes to and loads from, and what implements it."""
