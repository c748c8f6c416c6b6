select * from report.scorecard where source = %(source)s and universe = %(universe)s order by window_months nulls last, horizon, forecaster
