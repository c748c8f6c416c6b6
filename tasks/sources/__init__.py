"""Price sources: one module or package a source, with one interface for all.

A source that fails is never replaced by another one. Every requested symbol gets an outcome; only an invalid request
raises an exception. To add a source, implement `Source` of `base` and add its spec to `specs`.

- `base`: the interface: `Source`, `Fetched`, `Outcome`, and the columns of its frames.
- `specs`: `open_source`, which opens the source of a spec: `sample`, `file:PATH` or `yahoo`.
- `sample`: daily bars of two indices, installed with the program.
- `files`: tables of bars on disk.
- `yahoo`: Yahoo Finance.
"""
