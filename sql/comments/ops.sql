-- Comments of the ops schema: grain of every table, meaning and unit of every column.
comment on schema ops is 'Runs, their outcome per symbol, drift checks, alerts and deliveries.';

comment on table ops.run is 'One row per started run of the monthly forecast.';
comment on column ops.run.run_id is 'Number of the run.';
comment on column ops.run.source is 'Source of the bars: sample, file or yahoo.';
comment on column ops.run.universe is 'Name of the set of symbols: that of the universe file, that of the source, or a name derived from --symbols.';
comment on column ops.run.origin_month is 'Last complete month available to the forecasts, first day of the month.';
comment on column ops.run.correction is '0 for the first published run of a month; each --rerun adds 1. The highest correction is in force.';
comment on column ops.run.as_of is 'Date of the last event that the run may use.';
comment on column ops.run.known_at is 'Time of the last knowledge that the run may use, UTC: the end of its download.';
comment on column ops.run.status is 'running; published (all its rows are visible); failed (see message); abandoned (its process ended before the run did).';
comment on column ops.run.mode is 'Selection of the model: auto, keep, retrain or baseline.';
comment on column ops.run.symbols_requested is 'Number of symbols in the universe.';
comment on column ops.run.symbols_forecast is 'Number of symbols with forecasts; ops.symbol_outcome explains every other symbol.';
comment on column ops.run.served is 'Published forecaster: hybrid, or baseline if the numbers do not support the hybrid.';
comment on column ops.run.message is 'Result or cause of the failure, one sentence.';
comment on column ops.run.flow_run_id is 'Prefect''s id of the flow run.';
comment on column ops.run.parameters is 'Parameters of the run.';
comment on column ops.run.config is 'Every scientific choice of the run, in the form of ForecasterConfig.to_dict; null for runs of earlier releases.';
comment on column ops.run.software is 'Versions of Bellwether and of the libraries that affect the numbers.';
comment on column ops.run.started_at is 'Start, UTC.';
comment on column ops.run.finished_at is 'End, UTC; null while running.';
comment on column ops.run.is_retrospective is 'True if the run started more than 31 days after as_of: a forecast of a past month.';

comment on table ops.symbol_outcome is 'One row per run and requested symbol.';
comment on column ops.symbol_outcome.run_id is 'Run, see ops.run.';
comment on column ops.symbol_outcome.symbol is 'Symbol, see market.instrument.';
comment on column ops.symbol_outcome.outcome is 'ok; stale (no bar at the end of the month); missing (unknown to the source); rate_limited or source_error (no response of the source); rejected (unreliable or too few bars).';
comment on column ops.symbol_outcome.reason is 'Explanation, one sentence.';
comment on column ops.symbol_outcome.last_session is 'Last session with a bar up to as_of.';
comment on column ops.symbol_outcome.months is 'Number of complete months of history up to the origin month.';

comment on table ops.download is 'One row per symbol and download: the response of the source. A bar of the span without a newer version was delivered unchanged.';
comment on column ops.download.symbol is 'Symbol, see market.instrument; also symbols without any bar.';
comment on column ops.download.known_at is 'Time of the download, UTC.';
comment on column ops.download.source is 'Source: sample, file or yahoo.';
comment on column ops.download.outcome is 'ok (bars received); missing (unknown to the source); rate_limited or source_error (no response); rejected (unusable bars).';
comment on column ops.download.reason is 'Explanation, one sentence; empty without one.';
comment on column ops.download.first_session is 'First session received; null without bars.';
comment on column ops.download.last_session is 'Last session received; null without bars.';
comment on column ops.download.bars_added is 'Number of new bars.';
comment on column ops.download.bars_revised is 'Number of corrected bars, see market.bar_revision.';
comment on column ops.download.actions_changed is 'Number of new, corrected or withdrawn splits and dividends.';
comment on column ops.download.first_trade is 'Date of the first trade as the source reports it; null if it reports none.';

comment on table ops.drift_check is 'One row per run, horizon and monitored measure: whether the published forecasts are as accurate as expected of their model.';
comment on column ops.drift_check.run_id is 'Run, see ops.run.';
comment on column ops.drift_check.horizon is 'Months ahead, 1 to 12.';
comment on column ops.drift_check.measure is 'loss (CRPS against the reference forecast), loss_against_baseline, calibration (intervals too narrow) or staleness (no reaction to the month''s news). See docs/drift.md.';
comment on column ops.drift_check.status is 'ok; warning (above half of the threshold); alarm (from the threshold on, until the statistic falls to a quarter of it); not_enough_data.';
comment on column ops.drift_check.statistic is 'One-sided cumulative sum of the monthly deviations from the expected value, in standard deviations, less an allowance; at most the threshold.';
comment on column ops.drift_check.threshold is 'Value of the statistic that raises the alarm, in standard deviations: all checks of a universe together raise at most one false alarm in five years. Null with too few months.';
comment on column ops.drift_check.p_value is 'Probability of a statistic this high after the same number of months without any change, 0 to 1.';
comment on column ops.drift_check.months_used is 'Number of scored months in the check.';
comment on column ops.drift_check.since_month is 'First month since which the statistic is above zero, first day of the month; null if it is zero.';
comment on column ops.drift_check.reason is 'Explanation, one sentence.';

comment on table ops.drift_month is 'One row per scored run, horizon and measure: the measured value of the published forecasts and its expectation. Rows never change.';
comment on column ops.drift_month.run_id is 'Run that made the forecasts, see ops.run.';
comment on column ops.drift_month.horizon is 'Months ahead, 1 to 12; the outcomes are from this many months after the run''s origin_month.';
comment on column ops.drift_month.measure is 'Measure, see forecast.drift_expectation.';
comment on column ops.drift_month.forecaster is 'Published forecaster: hybrid or baseline.';
comment on column ops.drift_month.symbols is 'Number of symbols averaged.';
comment on column ops.drift_month.value is 'Value of the measure, in its unit (docs/drift.md).';
comment on column ops.drift_month.expected is 'Expected value, from forecast.drift_expectation of the model that made the forecasts, in the same unit.';
comment on column ops.drift_month.deviation is 'Standard deviation from month to month, from the same rows, in the same unit.';
comment on column ops.drift_month.checked_by_run_id is 'Run that computed the row, see ops.run.';

comment on table ops.drift_symbol is 'One row per run, horizon with a warning or an alarm, and symbol with one of the five largest contributions.';
comment on column ops.drift_symbol.run_id is 'Run, see ops.run.';
comment on column ops.drift_symbol.horizon is 'Months ahead, 1 to 12.';
comment on column ops.drift_symbol.symbol is 'Symbol, see market.instrument.';
comment on column ops.drift_symbol.share is 'Share of the loss above its expectation, 0 to 1, among all symbols above theirs, in the months since the statistic left zero (at most twelve).';

comment on table ops.input_check is 'One row per run and input: comparison of the origin month with the ten years before it. For information: raises no alert.';
comment on column ops.input_check.run_id is 'Run, see ops.run.';
comment on column ops.input_check.input is 'volatility (monthly log return, geometric mean over symbols), volume (ratio to each symbol''s mean of the previous year) or missing (share of the requested symbols).';
comment on column ops.input_check.value is 'Value of the origin month, in the unit of the input; null if it cannot be computed.';
comment on column ops.input_check.lowest is 'Lower bound: 1 % quantile of the months before, in the same unit; null with fewer than 36 months.';
comment on column ops.input_check.highest is 'Upper bound: 99 % quantile of the months before, in the same unit; 0.05 for missing.';
comment on column ops.input_check.is_unusual is 'True if the value lies outside the bounds.';

comment on table ops.alert is 'One row per alert; open while resolved_at is null.';
comment on column ops.alert.alert_id is 'Number of the alert.';
comment on column ops.alert.kind is 'drift, failed_run, coverage, overdue, damaged_model, delivery or database.';
comment on column ops.alert.subject is 'Subject: source/universe, or the id of a recipient. Only one alert per kind and subject is open.';
comment on column ops.alert.severity is 'warning or critical.';
comment on column ops.alert.title is 'Summary, one line.';
comment on column ops.alert.detail is 'Start, extent and remedy.';
comment on column ops.alert.look_deeper_sql is 'Query for more detail.';
comment on column ops.alert.run_id is 'Run that last raised it, see ops.run; null without one.';
comment on column ops.alert.origin_month is 'Origin month of the alert, first day of the month; a run of an earlier month neither clears nor changes it. Null: no particular month.';
comment on column ops.alert.opened_at is 'Time of the first detection, UTC.';
comment on column ops.alert.changed_at is 'Time of the last change of title or severity, UTC; null without one.';
comment on column ops.alert.times_seen is 'Number of detections.';
comment on column ops.alert.acknowledged_at is 'Time of acknowledgement, UTC: stops reminders. Reset by a change of title or severity.';
comment on column ops.alert.resolved_at is 'Time of clearing, UTC; null while open.';

comment on table ops.recipient is 'One row per recipient of alerts, past and present.';
comment on column ops.recipient.recipient_id is 'Fingerprint of the full address, which is not stored.';
comment on column ops.recipient.recipient is 'Address without secrets.';
comment on column ops.recipient.first_used_at is 'First time in the setting, UTC.';
comment on column ops.recipient.last_used_at is 'Last time in the setting, UTC.';
comment on column ops.recipient.failed_rounds is 'Number of consecutive delivery rounds without an accepted message.';
comment on column ops.recipient.failing_since is 'Start of the first of these rounds, UTC; null if there is none.';
comment on column ops.recipient.last_error is 'Error of the last failed delivery; null after a success.';
comment on column ops.recipient.last_delivered_at is 'Time of the last accepted message, UTC.';

comment on table ops.delivery is 'One row per alert, recipient and message (opened, reminder, cleared). The row is stored before the message is sent.';
comment on column ops.delivery.alert_id is 'Alert, see ops.alert.';
comment on column ops.delivery.recipient_id is 'Recipient, see ops.recipient.';
comment on column ops.delivery.event is 'opened, reminder or cleared.';
comment on column ops.delivery.number is 'Number of the reminder, from 1; 0 for the other events.';
comment on column ops.delivery.attempts is 'Number of delivery attempts.';
comment on column ops.delivery.first_attempt_at is 'Start of the round of the first attempt, UTC.';
comment on column ops.delivery.last_attempt_at is 'Start of the round of the last attempt, UTC.';
comment on column ops.delivery.delivered_at is 'Time of acceptance by the recipient, UTC; null: not delivered.';
comment on column ops.delivery.last_error is 'Error of the last attempt; null with delivered_at null: the process ended during the attempt.';

comment on table ops.monitored_universe is 'One row per source and universe in regular service: its unpublished months become overdue.';
comment on column ops.monitored_universe.source is 'Source of the bars, see ops.run.';
comment on column ops.monitored_universe.universe is 'Name of the set of symbols, see ops.run.';
comment on column ops.monitored_universe.exchange_mics is 'ISO 10383 codes of the exchanges of its symbols; their sessions count.';
comment on column ops.monitored_universe.due_sessions is 'Number of sessions after the end of a month at whose end the month is due.';
comment on column ops.monitored_universe.first_month is 'First monitored origin month, first day of the month.';
comment on column ops.monitored_universe.monitored_since is 'Start of monitoring, UTC: the first regular run. Months due earlier are due on the following day.';
comment on column ops.monitored_universe.ended_at is 'End of monitoring, UTC, set by a person; null while monitored.';

comment on table ops.due_month is 'One row per monitored universe and month: its due date, computed two years ahead from the exchange calendars. Overdue months are therefore visible without a running program.';
comment on column ops.due_month.source is 'Source, see ops.monitored_universe.';
comment on column ops.due_month.universe is 'Universe, see ops.monitored_universe.';
comment on column ops.due_month.origin_month is 'Month to be published, first day of the month.';
comment on column ops.due_month.due_on is 'Last date of publication in time.';

comment on table ops.lock is 'One row per name that processes lock, for as long as their transaction lasts: months, recipients, downloads.';
comment on column ops.lock.name is 'Name: source/universe/first day of the origin month, recipient and its id, or bellwether/market for downloads.';

comment on table ops.schema_version is 'One row: the revision of the schema. An upgrade locks the table.';
comment on column ops.schema_version.revision is 'Last step that was run, see sql/migrations/versions.';

comment on table ops.report_view is 'One row per view of the schema report that Bellwether has built. Other views there are left alone.';
comment on column ops.report_view.view_name is 'Name of the view, without its schema.';
