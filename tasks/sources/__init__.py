"""Price sources: one module or package a source, with one interface for all.

A source that fails is never replaced by another one. Every requested symbol gets an outcome; only an invalid request
raises an exception. To add a source, implement `Source` of `base` and add its spec to `tasks.plans.sources`.

- `base`: the interface: `Source`, `Fetched`, `Outcome`, and the columns of its frames.
- `sample`: daily bars of two indices, installed with the program.
- `files`: tables of bars on disk.
- `yahoo`: Yahoo Finance.
"""
