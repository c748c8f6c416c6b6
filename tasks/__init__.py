"""Steps of the flows, with all I/O: a step reads, calls a pure function of `model`, writes, and logs one line.

Used by every step:

- `settings`: the environment variables, read in one place.
- `errors`: the errors of the program, with their exit codes.
- `database`: the store of this process, on the embedded server or on `DATABASE_URL`.
- `decisions`: decisions of the operator about doubtful prices.
- `paths`: paths that a user names.
- `calendars`: trading sessions and months of the exchanges.
- `progress`: progress and log lines of the steps.
- `retries`: how Prefect runs a step, and which errors it retries.
- `processes`: pools of worker processes, limited by memory.
- `registry`: stored models: read, verified, and made ready for storage.

Wings, each of which may use those above it:

- `failures`: errors of other libraries, logs of unexpected errors, and what a killed command left behind.
- `sources`: price sources: `sample`, files, Yahoo.
- `plans`: requests, checked and turned into plans.
- `alerts`: alerts and their delivery, and the service check.
- `month`: the steps of the month: one module a step.
- `research`: backtest, replay and the paper's experiment.
- `report`: summaries for the command line.

Prefect tasks are decorated here; the flows that call them are in `flows`.
"""
