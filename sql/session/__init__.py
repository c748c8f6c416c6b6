"""Sessions of the database: their requirements, their locks, and errors in words.

- `errors`: `StoreUnavailableError`, and the translation of the driver's errors to it.
- `requirements`: version and encoding that a server must have.
- `lock`: a name that one process holds.
"""
