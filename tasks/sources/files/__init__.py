"""Files source: tables of bars on disk.

- `source`: `FileSource`, the price source of a table or of a directory of tables.
- `prices`: the bars of a table, and findings for its other rows.
- `reader`: reads one table: CSV, gzip CSV or Parquet.
- `lines`: reads a CSV with unreadable lines, line by line.
- `layouts`: rewrites the three header lines of yfinance, semicolons and decimal commas.
- `intraday`: aggregates bars within the day.
- `columns`: the columns of a table: their names in a header and their types.
- `table`: the data types of a table that was read, and the error for an unusable one.
"""
