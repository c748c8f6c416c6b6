"""Everything about Postgres: migrations, views, statements, and one Python interface.

- `store`: `Store`, the interface of the other rooms: verbs with frames in and out, one transaction each.
- `connection`: `Database`, the base of all verbs: connection pools, locks and parameters.
- `month_key`: `MonthKey`, the key of a published month.
- `copy`: frames to and from Postgres by COPY.
- `market`: verbs about instruments, bars, splits, dividends, downloads and findings.
- `runs`: verbs about runs, publications, models, forecasts and drift.
- `alerts`: verbs about alerts, deliveries and monitored universes.
- `scores`: verbs about errors, monthly scores and the scorecard.
- `backtests`: verbs about backtests.
- `paper`: verbs about the results of the paper's experiment.
- `migrate`: upgrade of a database to the newest schema.
- `schema`: generator of `schema.sql`, the newest schema as one readable file.

Packages and folders:

- `session`: requirements of a server, locks, and errors in words.
- `server`: the embedded server, used when no `DATABASE_URL` is set.
- `migrations`: numbered steps from an empty database. To change a table, add a step.
- `comments/`: comments of schemas, tables and columns, with units. To change one, edit the file.
- `views/`: the schema `report`, rebuilt in the order of the file names. To change a view, edit the file.
- `queries`: the statements of the verbs, one file each, in folders by subject.

This package imports no other room. Statements take parameters; Python composes only names of tables and columns, quoted
by the driver.
"""
