"""Data quality: rules on bars and actions, and the screening that applies them.

- `actions`: rules on dividends.
- `bars`: rules on single bars, gaps, stale prices and partial sessions.
- `decisions`: decisions of the operator about doubtful prices.
- `dividend_units`: the rule on the unit of a source's dividends.
- `findings`: the findings of the rules.
- `sessions`: rules on bars outside of sessions, shifted dates and bars before the first trade.
- `moves`: rules on price jumps.
- `screening`: all rules in order.
"""
