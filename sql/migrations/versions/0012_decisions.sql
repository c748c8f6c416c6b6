-- Decisions of the operator about doubtful prices, and the first trade of a symbol as its source reports it.
create table market.price_decision (
    decision_id   bigint generated always as identity primary key,
    symbol        text not null,
    session       date check (session is not null or kind = 'history'),
    kind          text not null check (kind in ('split', 'unit', 'move', 'history')),
    ratio         double precision check (ratio > 0),
    source        text not null,
    note          text not null,
    decided_by    text not null,
    decided_at    timestamptz not null,
    withdrawn_by  text,
    withdrawn_at  timestamptz,
    applied_at    timestamptz check (applied_at is null or kind = 'history'),
    check ((ratio is not null) = (kind in ('split', 'unit'))),
    check ((withdrawn_by is null) = (withdrawn_at is null))
);
create index on market.price_decision (symbol);

alter table ops.download add column first_trade date;
