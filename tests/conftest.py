"""Settings of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The speed of the machine decides no test. A failure prints the line that replays its example.
settings.register_profile(
    "rushes", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("rushes")
