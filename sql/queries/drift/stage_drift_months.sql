-- Staging tables of drift months and drift expectations.
create temporary table incoming_drift_month (like ops.drift_month) on commit drop;
create temporary table incoming_drift_expectation (like forecast.drift_expectation) on commit drop
