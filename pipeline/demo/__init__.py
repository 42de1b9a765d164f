"""The demo: simulated agents that use the real SDK, a live board that reads only what has landed, an incident."""
