"""Reports about finished work, made from the database.

- `summaries`: summaries of finished runs, read back from the database, and example queries.
"""
