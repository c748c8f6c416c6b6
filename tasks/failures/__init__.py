"""Failures: what the program makes of errors that it did not raise itself.

- `expected`: errors of other libraries and of the system as errors of the program.
- `error_logs`: log files with the tracebacks of unexpected errors.
- `orphans`: processes and directories that a killed command left behind.
"""
