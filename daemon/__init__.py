"""What dedupd does. Imports pipeline and store."""

import signal
import sys

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

if sys.argv[1:2] == ["run"]:
    # They wait until `daemon.stopping` listens, and a wish for another configuration until the service does: one that
    # comes during the imports of a start must not end it with half a traceback. This is the first line that runs.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*STOP_SIGNALS, signal.SIGHUP))
