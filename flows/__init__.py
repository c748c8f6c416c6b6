"""The story of the month, one page a flow; no SQL and no arithmetic.

- `monthly`: the flow that forecasts a month, and the one that catches up on several.
- `backfill`: prices without a forecast; `backtest`, `replay`: past months; `paper`: the paper behind the project.
- `cli`: the `bellwether` command.
- `screen`: what that command shows a person.
- `runtime`: Prefect set up for a machine of its own, quiet and offline.

To change what happens in a month, or in which order, edit `monthly`; to change how a step does it, see `tasks`.
"""
