"""Settings of all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# The speed of the machine decides no test. A failure prints the line that replays its example.
settings.register_profile(
    "rushes", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("rushes")

# A script that runs the tests in the background starts them with SIGINT and SIGQUIT ignored, and nohup with SIGHUP. A
# process inherits that, but not a handler: with one that does nothing, the processes of tests start with defaults.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
