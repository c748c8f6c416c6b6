"""The story of the month, one page a flow; no SQL and no arithmetic.

- `monthly`: the flow that forecasts a month, and the one that catches up on several.
- `watch`: the daily look at runs that were killed and months that are missing.
- `backfill`: prices without a forecast; `backtest`, `replay`: past months; `paper`: the paper behind the project.
- `cli`: the `bellwether` command; `alerts_cli`: its commands about alerts.
- `screen`, `service_screen`: what that command shows a person, of the forecasts and of the service.
- `runtime`: Prefect set up for a machine of its own, quiet and offline.

To change what happens in a month, or in which order, edit `monthly`; to change how a step does it, see `tasks`.
"""
