-- What every download said of a symbol, and what was found wrong with its bars.
create table ops.download (
    symbol           text not null,
    known_at         timestamptz not null,
    source           text not null,
    outcome          text not null check (outcome in ('ok', 'missing', 'rate_limited', 'source_error', 'rejected')),
    reason           text not null,
    first_session    date,
    last_session     date,
    bars_added       integer not null default 0,
    bars_revised     integer not null default 0,
    actions_changed  integer not null default 0,
    primary key (symbol, known_at),
    check ((outcome = 'ok') = (first_session is not null)),
    check ((first_session is null) = (last_session is null))
);
comment on table ops.download is 'One row per symbol and download: what the source said. A bar of the span without a newer value was said again as it was.';
comment on column ops.download.symbol is 'Symbol, see market.instrument; also of symbols that never had a bar.';
comment on column ops.download.known_at is 'When the source said so, UTC.';
comment on column ops.download.source is 'Source asked: sample, file or yahoo.';
comment on column ops.download.outcome is 'ok (bars came); missing (the source has none); rate_limited, source_error (it did not answer); rejected (bars that cannot be used).';
comment on column ops.download.reason is 'One sentence; empty when there is nothing to say.';
comment on column ops.download.first_session is 'First session that came.';
comment on column ops.download.last_session is 'Last session that came.';
comment on column ops.download.bars_added is 'Sessions that were new.';
comment on column ops.download.bars_revised is 'Sessions whose bar was corrected, see market.bar_revision.';
comment on column ops.download.actions_changed is 'Splits and dividends that were new, corrected or withdrawn.';

-- What is stored so far came in downloads of which no more is known than what they left.
insert into ops.download (symbol, known_at, source, outcome, reason, first_session, last_session, bars_added)
select b.symbol, max(b.known_at), i.source, 'ok', 'stored by version 0.1', min(b.session), max(b.session), count(*)
from market.daily_bar b
join market.instrument i using (symbol)
group by b.symbol, i.source;

create table market.finding (
    symbol      text not null,
    session     date,
    rule        text not null,
    value       double precision,
    treatment   text not null check (treatment in ('repaired', 'excluded', 'rejected', 'kept')),
    reason      text not null,
    found_at    timestamptz not null,
    cleared_at  timestamptz,
    unique nulls not distinct (symbol, session, rule)
);
comment on table market.finding is 'One row per symbol, session and rule: what was wrong with a bar, and what was done about it. Stored bars are never changed by it.';
comment on column market.finding.symbol is 'Symbol, see market.instrument; empty where a line of a file could not be read at all.';
comment on column market.finding.session is 'Session it is about, the first one of a stretch; null where it cannot be known.';
comment on column market.finding.rule is 'Name of the rule, see docs/data.md.';
comment on column market.finding.value is 'The number that the rule looked at.';
comment on column market.finding.treatment is 'repaired (the reason says how); excluded (the bar is not used); rejected (the symbol is not used); kept (odd, and possible).';
comment on column market.finding.reason is 'One sentence.';
comment on column market.finding.found_at is 'When it was found first, UTC.';
comment on column market.finding.cleared_at is 'When a later check no longer found it, UTC; null while it stands.';

-- Whether a source says something new: a value where none was known, or another one beyond tolerance. Silence is no news.
create function market.is_news(said double precision, known double precision, tolerance double precision)
returns boolean language sql immutable parallel safe
return said is not null and (known is null or abs(said - known) > tolerance * abs(known));
comment on function market.is_news is 'Whether `said` differs from `known` by more than the relative tolerance; a missing value says nothing.';

comment on column market.corporate_action.value is 'split: new shares for one old share, 1: withdrawn. dividend: cash per share, in the instrument''s currency and in shares as traded on the ex-date, 0: withdrawn.';
comment on column ops.run.known_at is 'Moment up to which we may have learnt of it, UTC: the end of the run''s own download.';
