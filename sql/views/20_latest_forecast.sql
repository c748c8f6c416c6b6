create view report.latest_forecast as
with newest as (
    select distinct on (source, universe) run_id, source, universe, is_retrospective
    from report.published_run
    order by source, universe, origin_month desc
)
select
    f.symbol, f.origin_month, f.horizon, f.target_month, f.forecaster,
    o.currency_code, o.origin_session, o.origin_close,
    o.origin_close * exp(f.q025) as price_q025,
    o.origin_close * exp(f.q10)  as price_q10,
    o.origin_close * exp(f.q50)  as price_q50,
    o.origin_close * exp(f.q90)  as price_q90,
    o.origin_close * exp(f.q975) as price_q975,
    f.q025, f.q05, f.q10, f.q20, f.q30, f.q40, f.q50, f.q60, f.q70, f.q80, f.q90, f.q95, f.q975,
    n.source, n.universe, n.is_retrospective, f.run_id
from newest n
join forecast.forecast f using (run_id)
join forecast.forecast_origin o using (run_id, symbol)
where f.is_served;
comment on view report.latest_forecast is
    'One row per symbol and horizon of the newest published month of each universe: the served forecast, as log returns and as prices.';
comment on column report.latest_forecast.forecaster is 'Which forecaster is served: hybrid, or baseline where the numbers did not support the hybrid.';
comment on column report.latest_forecast.origin_close is 'Close of the last session of origin_month, as traded, in currency_code.';
comment on column report.latest_forecast.price_q50 is 'Median value, in currency_code, of one share bought at origin_close, dividends reinvested. The other price columns are its quantiles.';
comment on column report.latest_forecast.q50 is 'Median of the total log return from the end of origin_month to the end of target_month. The other q columns are its quantiles.';
