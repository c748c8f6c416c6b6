-- Record the downloads: outcome, span, and numbers of changes.
insert into ops.download
    (symbol, known_at, source, outcome, reason, first_session, last_session, bars_added, bars_revised, actions_changed,
     first_trade)
select
    d.symbol, %(known_at)s, %(source)s, d.outcome, d.reason, s.first_session, s.last_session,
    coalesce(b.added, 0), coalesce(b.revised, 0), coalesce(a.changed, 0),
    d.first_trade
from incoming_download d
left join incoming_span s on s.symbol = d.symbol and d.outcome = 'ok'
left join (
    select symbol, count(*) filter (where not is_revision) as added, count(*) filter (where is_revision) as revised
    from changed_bar group by symbol
) b on b.symbol = d.symbol
left join (select symbol, count(*) as changed from placed_action group by symbol) a on a.symbol = d.symbol
on conflict (symbol, known_at) do nothing
