"""Properties are checked by what they say, not by how fast the machine is.

Their examples are new in every run, unless CI is set: Hypothesis then takes the same ones each time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("steady"), max_examples=1_000, derandomize=False)
settings.load_profile("steady")
