"""Helpers of the tests.

- `fixtures`: fixtures that several packages of tests share; loaded as a plugin by `tests/conftest.py`.
- `session`: the directory and the environment of one test run, shared by all its processes.
- `postgres`: one embedded server per test run and a database per test.
- `server`: other embedded servers: SQL values, processes and removal.
- `database`: price files, digests of tables and damaged models.
- `rows`: SQL statements, executed without the store.
- `commands`: the command line as a function.
- `month_process`: a month run in a process that a test can stop, and locks that hold it at one step.
- `untrained`: a universe of two symbols, its plan, and a forecaster that needs no training.
- `few_units`: a forecaster configuration that trains in a second.
- `simulated`: monthly bars simulated from a known process.
- `bars`: bars and actions written by hand.
- `quality`: bars without faults, faults to insert, and a short form of the findings.
- `price_files`: price files for the files source.
- `drift`: reference forecasts of simulated months.
- `paper`: a small experiment of the paper.
- `other_scores`: scores and tests of other libraries, to compare ours with.
- `loopback`: a webhook and a mail server on loopback.
- `yahoo_server`: a server that responds as Yahoo's chart service does.
"""
