-- Tables and columns get the terms of the field. No row changes.
alter table forecast.candidate rename column months_judged to holdout_months;
alter table forecast.model_version rename column judged_from to holdout_start;
alter table forecast.model_version rename column judged_through to holdout_end;

alter table forecast.watch_reference rename to drift_expectation;
alter table forecast.drift_expectation rename constraint watch_reference_pkey to drift_expectation_pkey;
alter table ops.watched_month rename to drift_month;
alter table ops.drift_month rename constraint watched_month_pkey to drift_month_pkey;
alter table ops.drift_month rename column usual to expected;
alter table ops.drift_month rename column watched_by_run_id to checked_by_run_id;

alter table ops.watched_universe rename to monitored_universe;
alter table ops.monitored_universe rename constraint watched_universe_pkey to monitored_universe_pkey;
alter table ops.monitored_universe rename column watched_since to monitored_since;

alter table ops.address rename to recipient;
alter table ops.recipient rename constraint address_pkey to recipient_pkey;
alter table ops.recipient rename column address_id to recipient_id;
alter table ops.recipient rename column address to recipient;
alter table ops.delivery rename column address_id to recipient_id;

alter table ops.run rename column symbols_asked to symbols_requested;
