"""Thin steps between the flows and the rooms: read from a door, call one pure function, write to a door.

- `settings`: the one reader of the environment.
- `planning`: what a request means: which month, which symbols, from where; and whether it can be.
- `ledger`: the run's row in the ledger, from start to publication or failure.
- `database`: the store of this process, embedded server or `DATABASE_URL`.
- `sources/`: where prices come from, one file a source. A new source is a new file there.
- `ingestion`, `training`, `forecasting`, `scoring`, `monitoring`, `alerting`: the steps of the month, in that order.
- `duty`: who answers for a run that nobody watches, and which months are waited for.
- `delivering`, `addresses`, `sending`: alerts on their way; their words are in `alerting`.
- `watching`: the daily watch.
- `reporting`: what a person reads at the end.
- `paper`, `pictures`, `paper_table`: the paper's experiment: its steps, its pictures and its table.
- `calendars`, `progress`, `processes`, `secrecy`, `errors`: used by several of them.

A step that Prefect runs is decorated here; the story that joins them is in `flows`.
"""
