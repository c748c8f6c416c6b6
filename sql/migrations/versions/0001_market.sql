-- What was traded, and when we learnt it.
create schema market;
comment on schema market is
    'Prices as traded, splits and dividends as facts, and what providers later corrected. Adjusted series are computed, never stored.';

create table market.instrument (
    symbol          text primary key,
    source          text not null check (source in ('sample', 'file', 'yahoo')),
    exchange_mic    text not null,
    currency_code   text not null check (currency_code ~ '^[A-Z]{3}$'),
    bar_interval    text not null default 'daily' check (bar_interval in ('daily', 'monthly')),
    status          text not null default 'active' check (status in ('active', 'suspected', 'delisted')),
    known_at        timestamptz not null
);
comment on table market.instrument is 'One row per symbol.';
comment on column market.instrument.symbol is 'Ticker in the notation of its source, for example BRK-B or ^GSPC.';
comment on column market.instrument.source is 'Source its bars come from; bars of two sources are never mixed under one symbol.';
comment on column market.instrument.exchange_mic is 'ISO 10383 code of the exchange whose calendar gives its sessions, for example XNYS.';
comment on column market.instrument.currency_code is 'ISO 4217 code of the currency its prices are in.';
comment on column market.instrument.bar_interval is 'Finest bars the source has: daily or monthly.';
comment on column market.instrument.status is 'active; suspected (its bars stopped); delisted (believed after several runs). History is kept in every case.';
comment on column market.instrument.known_at is 'When the symbol was first ingested, UTC.';

-- No foreign key to instrument: the door writes the instrument first, and a check per row would slow bulk loads.
create table market.daily_bar (
    symbol    text not null,
    session   date not null,
    open      double precision check (open > 0),
    high      double precision check (high > 0),
    low       double precision check (low > 0),
    close     double precision not null check (close > 0),
    volume    bigint check (volume > 0),
    known_at  timestamptz not null,
    primary key (symbol, session)
);
comment on table market.daily_bar is 'One row per symbol and session: the bar as traded on that day, as best known now.';
comment on column market.daily_bar.symbol is 'Symbol, see market.instrument.';
comment on column market.daily_bar.session is 'Trading day in the exchange''s own time zone.';
comment on column market.daily_bar.open is 'First price, in the instrument''s currency, as traded (no split or dividend adjustment). Null: the source has none.';
comment on column market.daily_bar.high is 'Highest price, in the instrument''s currency, as traded.';
comment on column market.daily_bar.low is 'Lowest price, in the instrument''s currency, as traded.';
comment on column market.daily_bar.close is 'Last price, in the instrument''s currency, as traded.';
comment on column market.daily_bar.volume is 'Shares traded, as traded. Null: the source has none, or said zero.';
comment on column market.daily_bar.known_at is 'When we learnt these values, UTC.';

create table market.bar_revision (
    symbol        text not null,
    session       date not null,
    revised_at    timestamptz not null,
    old_open      double precision,
    old_high      double precision,
    old_low       double precision,
    old_close     double precision not null,
    old_volume    bigint,
    old_known_at  timestamptz not null,
    new_open      double precision,
    new_high      double precision,
    new_low       double precision,
    new_close     double precision not null,
    new_volume    bigint,
    primary key (symbol, session, revised_at)
);
comment on table market.bar_revision is 'One row per bar and correction: what the source said before, and what it says since. A bar as known at K is the oldest revision after K, else daily_bar.';
comment on column market.bar_revision.symbol is 'Symbol, see market.instrument.';
comment on column market.bar_revision.session is 'Trading day of the corrected bar.';
comment on column market.bar_revision.revised_at is 'When we learnt the new values, UTC.';
comment on column market.bar_revision.old_open is 'Open before the correction.';
comment on column market.bar_revision.old_high is 'High before the correction.';
comment on column market.bar_revision.old_low is 'Low before the correction.';
comment on column market.bar_revision.old_close is 'Close before the correction.';
comment on column market.bar_revision.old_volume is 'Volume before the correction.';
comment on column market.bar_revision.old_known_at is 'When we had learnt the old values, UTC.';
comment on column market.bar_revision.new_open is 'Open after the correction.';
comment on column market.bar_revision.new_high is 'High after the correction.';
comment on column market.bar_revision.new_low is 'Low after the correction.';
comment on column market.bar_revision.new_close is 'Close after the correction.';
comment on column market.bar_revision.new_volume is 'Volume after the correction.';

create table market.corporate_action (
    symbol    text not null,
    ex_date   date not null,
    kind      text not null check (kind in ('split', 'dividend')),
    known_at  timestamptz not null,
    value     double precision not null check (kind <> 'split' or value > 0),
    primary key (symbol, ex_date, kind, known_at)
);
comment on table market.corporate_action is 'One row per symbol, ex-date, kind and moment of learning: the newest known_at up to a moment is what was believed then.';
comment on column market.corporate_action.symbol is 'Symbol, see market.instrument.';
comment on column market.corporate_action.ex_date is 'First session traded without the dividend, or in new shares.';
comment on column market.corporate_action.kind is 'split or dividend.';
comment on column market.corporate_action.known_at is 'When we learnt it, UTC.';
comment on column market.corporate_action.value is 'split: new shares for one old share. dividend: cash per share, in the instrument''s currency and in shares as traded on the ex-date.';
