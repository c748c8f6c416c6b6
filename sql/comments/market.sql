-- Comments of the market schema: grain of every table, meaning and unit of every column.
comment on schema market is 'Prices as traded, splits and dividends, and the corrections of providers. Adjusted series are computed, never stored.';

comment on table market.instrument is 'One row per symbol.';
comment on column market.instrument.symbol is 'Ticker in the notation of its source, for example BRK-B or ^GSPC.';
comment on column market.instrument.source is 'Source of its first bars: sample, file or yahoo; report.bar_source has the source of every bar.';
comment on column market.instrument.exchange_mic is 'ISO 10383 code of the exchange whose calendar defines its sessions, for example XNYS.';
comment on column market.instrument.currency_code is 'ISO 4217 code of the currency of its prices.';
comment on column market.instrument.bar_interval is 'Shortest interval of the source''s bars: daily or monthly.';
comment on column market.instrument.status is 'active; suspected (the source reports no such symbol); delisted (the source reported so on at least three days over at least four weeks). The history is kept.';
comment on column market.instrument.known_at is 'Time of the first download, UTC.';

comment on table market.daily_bar is 'One row per symbol and session: the bar as traded, in the newest known version.';
comment on column market.daily_bar.symbol is 'Symbol, see market.instrument.';
comment on column market.daily_bar.session is 'Trading day, date in the exchange''s time zone.';
comment on column market.daily_bar.open is 'First price, in the instrument''s currency, as traded (not adjusted for splits or dividends). Null: not in the source.';
comment on column market.daily_bar.high is 'Highest price, in the instrument''s currency, as traded. Null: not in the source.';
comment on column market.daily_bar.low is 'Lowest price, in the instrument''s currency, as traded. Null: not in the source.';
comment on column market.daily_bar.close is 'Last price, in the instrument''s currency, as traded.';
comment on column market.daily_bar.volume is 'Number of shares traded, as traded. Null: zero or not in the source.';
comment on column market.daily_bar.known_at is 'Time of the download that delivered this version, UTC.';

comment on table market.bar_revision is 'One row per bar and correction, with the values before and after it. The version known at time K is the oldest revision after K, else daily_bar.';
comment on column market.bar_revision.symbol is 'Symbol, see market.instrument.';
comment on column market.bar_revision.session is 'Trading day of the corrected bar.';
comment on column market.bar_revision.revised_at is 'Time of the download that delivered the new values, UTC.';
comment on column market.bar_revision.old_open is 'Open before the correction, in the instrument''s currency.';
comment on column market.bar_revision.old_high is 'High before the correction, in the instrument''s currency.';
comment on column market.bar_revision.old_low is 'Low before the correction, in the instrument''s currency.';
comment on column market.bar_revision.old_close is 'Close before the correction, in the instrument''s currency.';
comment on column market.bar_revision.old_volume is 'Volume before the correction, shares.';
comment on column market.bar_revision.old_known_at is 'Time of the download that delivered the old values, UTC.';
comment on column market.bar_revision.new_open is 'Open after the correction, in the instrument''s currency.';
comment on column market.bar_revision.new_high is 'High after the correction, in the instrument''s currency.';
comment on column market.bar_revision.new_low is 'Low after the correction, in the instrument''s currency.';
comment on column market.bar_revision.new_close is 'Close after the correction, in the instrument''s currency.';
comment on column market.bar_revision.new_volume is 'Volume after the correction, shares.';

comment on table market.corporate_action is 'One row per symbol, ex-date, kind and known_at: a split or dividend. The version known at time K has the newest known_at up to K.';
comment on column market.corporate_action.symbol is 'Symbol, see market.instrument.';
comment on column market.corporate_action.ex_date is 'First session traded without the dividend, or in new shares.';
comment on column market.corporate_action.kind is 'split or dividend.';
comment on column market.corporate_action.known_at is 'Time of the download that delivered this version, UTC.';
comment on column market.corporate_action.value is 'split: new shares per old share; 1 means withdrawn. dividend: cash per share, in the instrument''s currency and in shares as traded on the ex-date; 0 means withdrawn.';

comment on table market.finding is 'One row per symbol, session and rule: a fault of a bar and its treatment. Stored bars are never changed by it.';
comment on column market.finding.symbol is 'Symbol, see market.instrument; empty for an unreadable line of a file.';
comment on column market.finding.session is 'Session of the fault, the first one of several; null if unknown.';
comment on column market.finding.rule is 'Name of the rule, see docs/data.md.';
comment on column market.finding.value is 'Number that the rule tested, in the unit of the rule; null if it tests none.';
comment on column market.finding.treatment is 'repaired (the reason gives the change); excluded (the bar is not used); rejected (the symbol is not used); kept (unusual but possible).';
comment on column market.finding.reason is 'Explanation, one sentence.';
comment on column market.finding.found_at is 'Time of the first detection, UTC.';
comment on column market.finding.cleared_at is 'Time of the first later check without the fault, UTC; null if the fault persists.';

comment on table market.price_decision is 'One row per decision of the operator about a doubtful price. A run uses those known at its known_at: decided, and not yet withdrawn.';
comment on column market.price_decision.decision_id is 'Number of the decision.';
comment on column market.price_decision.symbol is 'Symbol, see market.instrument.';
comment on column market.price_decision.session is 'Session of the finding. history: first session of the accepted history, earlier bars are excluded; null: none are.';
comment on column market.price_decision.kind is 'split (the move is a split); unit (the earlier prices have another unit or currency); move (the move is real); history (the next download replaces the stored history).';
comment on column market.price_decision.ratio is 'split: new shares per old share. unit: factor of the earlier prices. Null for the other kinds.';
comment on column market.price_decision.source is 'Source of the newest bars at the time of the decision: sample, file or yahoo.';
comment on column market.price_decision.note is 'Note of the operator; may be empty.';
comment on column market.price_decision.decided_by is 'Operating system user who decided.';
comment on column market.price_decision.decided_at is 'Time of the decision, UTC.';
comment on column market.price_decision.withdrawn_by is 'Operating system user who withdrew it; null while in force.';
comment on column market.price_decision.withdrawn_at is 'Time of the withdrawal, UTC; null while in force.';
comment on column market.price_decision.applied_at is 'history: time of the download that it admitted, UTC; null before it, and for the other kinds.';

comment on function market.is_changed is 'Whether `incoming` differs from `stored` by more than the relative tolerance. False without an incoming value.';
