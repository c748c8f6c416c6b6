-- The served forecasts of the newest published month of every universe.
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
comment on view report.latest_forecast is 'One row per symbol and horizon of the newest published month of each universe: the served forecast, as log returns and as prices.';
comment on column report.latest_forecast.symbol is 'Symbol, see market.instrument.';
comment on column report.latest_forecast.origin_month is 'Last complete month available to the forecast, first day of the month.';
comment on column report.latest_forecast.horizon is 'Months ahead, 1 to 12.';
comment on column report.latest_forecast.target_month is 'Month at whose end the return is measured, first day of the month.';
comment on column report.latest_forecast.forecaster is 'Served forecaster: hybrid, or baseline if the numbers do not support the hybrid.';
comment on column report.latest_forecast.currency_code is 'ISO 4217 code of the currency of the prices.';
comment on column report.latest_forecast.origin_session is 'Last session of origin_month.';
comment on column report.latest_forecast.origin_close is 'Close of origin_session, as traded, in currency_code.';
comment on column report.latest_forecast.price_q025 is '2.5 % quantile of the value, in currency_code, of one share bought at origin_close, dividends reinvested.';
comment on column report.latest_forecast.price_q10 is '10 % quantile of that value, in currency_code.';
comment on column report.latest_forecast.price_q50 is 'Median of that value, in currency_code.';
comment on column report.latest_forecast.price_q90 is '90 % quantile of that value, in currency_code.';
comment on column report.latest_forecast.price_q975 is '97.5 % quantile of that value, in currency_code.';
comment on column report.latest_forecast.q025 is '2.5 % quantile of the total log return from the end of origin_month to the end of target_month.';
comment on column report.latest_forecast.q05 is '5 % quantile, log return.';
comment on column report.latest_forecast.q10 is '10 % quantile, log return.';
comment on column report.latest_forecast.q20 is '20 % quantile, log return.';
comment on column report.latest_forecast.q30 is '30 % quantile, log return.';
comment on column report.latest_forecast.q40 is '40 % quantile, log return.';
comment on column report.latest_forecast.q50 is 'Median, log return: the point forecast.';
comment on column report.latest_forecast.q60 is '60 % quantile, log return.';
comment on column report.latest_forecast.q70 is '70 % quantile, log return.';
comment on column report.latest_forecast.q80 is '80 % quantile, log return.';
comment on column report.latest_forecast.q90 is '90 % quantile, log return.';
comment on column report.latest_forecast.q95 is '95 % quantile, log return.';
comment on column report.latest_forecast.q975 is '97.5 % quantile, log return.';
comment on column report.latest_forecast.source is 'Source of the bars: sample, file or yahoo.';
comment on column report.latest_forecast.universe is 'Name of the set of symbols.';
comment on column report.latest_forecast.is_retrospective is 'True if the run started more than 31 days after its as_of.';
comment on column report.latest_forecast.run_id is 'Run that made the forecast, see report.run_history.';
