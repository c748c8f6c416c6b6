-- What p-values are made of. In the schema of the views, so that whoever reads them may run it.
create or replace function report.student_t_below(statistic double precision, degrees integer)
returns double precision language plpgsql immutable strict parallel safe as $$
-- The series of Abramowitz and Stegun (1964, 26.7.3 and 26.7.4), exact for whole degrees of freedom.
declare
    angle double precision := atan(abs(statistic) / sqrt(degrees));
    sine double precision := sin(angle);
    cosine_squared double precision := cos(angle) ^ 2;
    is_odd boolean := degrees % 2 = 1;
    term double precision := case when is_odd then cos(angle) else 1 end;
    total double precision := 0;
    within double precision;
begin
    for k in 1 .. degrees / 2 loop
        exit when term < 1e-30;
        total := total + term;
        term := term * cosine_squared * (case when is_odd then 2.0 * k / (2 * k + 1) else (2 * k - 1) / (2.0 * k) end)::double precision;
    end loop;
    within := case when is_odd then 2 / pi() * (angle + sine * total) else sine * total end;
    return (1 + sign(statistic) * within) / 2;
end
$$;
comment on function report.student_t_below is 'Chance that Student''s t with so many degrees of freedom lies below the statistic.';

create or replace function report.variance_of_mean(series double precision[], horizon integer)
returns double precision language plpgsql immutable strict parallel safe as $$
-- As model.skill does: horizon - 1 autocovariances, with Bartlett's weights where plain ones sum to nothing.
declare
    n integer := cardinality(series);
    mean double precision := (select avg(value) from unnest(series) as value);
    centred double precision[] := array(select value - mean from unnest(series) with ordinality as s (value, place) order by place);
    gamma double precision;
    scale double precision := 0;
    plain double precision := 0;
    weighted double precision := 0;
begin
    for k in 0 .. least(horizon, n) - 1 loop
        gamma := 0;
        for t in k + 1 .. n loop
            gamma := gamma + centred[t] * centred[t - k];
        end loop;
        gamma := gamma / n;
        if k = 0 then
            scale := gamma;
            -- What rounding leaves of equal values.
            if scale <= 2.220446049250313e-16 ^ 2 then
                return 0;
            end if;
        else
            plain := plain + gamma;
            weighted := weighted + (1 - k::double precision / horizon) * gamma;
        end if;
    end loop;
    if scale + 2 * plain > 0 then
        return (scale + 2 * plain) / n;
    end if;
    return (scale + 2 * weighted) / n;
end
$$;
comment on function report.variance_of_mean is 'Long-run variance of the mean of a series in order of time, whose neighbours less than `horizon` apart depend on each other.';

create or replace function report.better_p(differences double precision[], horizon integer)
returns double precision language plpgsql immutable strict parallel safe as $$
declare
    n integer := cardinality(differences);
    h double precision := horizon;
    mean double precision := (select avg(value) from unnest(differences) as value);
    variance double precision;
begin
    if n < horizon + 2 then
        return null;
    end if;
    variance := report.variance_of_mean(differences, horizon);
    if variance <= 0 then
        return (1 + sign(mean)) / 2;
    end if;
    return report.student_t_below(mean / sqrt(variance) * sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n), n - 1);
end
$$;
comment on function report.better_p is 'One-sided p-value of Harvey, Leybourne and Newbold (1997) that a forecaster with these differences of loss a month (below zero: it is the better one) was better by luck alone. Null with fewer than horizon + 2 months.';

create or replace function report.kupiec_ratio(share double precision, forecasts double precision, level double precision)
returns double precision language sql immutable strict parallel safe as $$
    select 2 * forecasts * greatest(
        case when share > 0 then share * ln(share / level) else 0 end
            + case when share < 1 then (1 - share) * ln((1 - share) / (1 - level)) else 0 end,
        0
    )
$$;
comment on function report.kupiec_ratio is 'Likelihood ratio of Kupiec (1995) of a share of forecasts that came within an interval meant to hold `level` of them.';

create or replace function report.kupiec_p(share double precision, forecasts double precision, level double precision)
returns double precision language sql immutable strict parallel safe as $$
    select erfc(sqrt(report.kupiec_ratio(share, forecasts, level) / 2))
$$;
comment on function report.kupiec_p is 'p-value of Kupiec (1995), chi-square with one degree of freedom: for forecasts that are independent of each other.';

create or replace function report.coverage_p(covered double precision[], forecasts double precision[], level double precision, horizon integer)
returns double precision language plpgsql immutable strict parallel safe as $$
declare
    n integer := cardinality(covered);
    h double precision := horizon;
    total double precision := (select sum(value) from unnest(forecasts) as value);
    share double precision := (select sum(value) from unnest(covered) as value) / total;
    variance double precision;
    independent double precision;
begin
    if n < horizon + 2 or n < 2 * horizon then
        return null;
    end if;
    variance := report.variance_of_mean(
        array(
            select (c.value - share * f.value) * n / total
            from unnest(covered) with ordinality as c (value, place)
            join unnest(forecasts) with ordinality as f (value, place) using (place)
            order by place
        ),
        horizon
    );
    if variance > 0 then
        variance := variance / ((n + 1 - 2 * h + h * (h - 1) / n) / n);
        independent := least(total, share * (1 - share) / variance);
    else
        independent := n / h;
    end if;
    return 2 * (1 - report.student_t_below(sqrt(report.kupiec_ratio(share, independent, level)), n / horizon - 1));
end
$$;
comment on function report.coverage_p is
    'p-value of Kupiec''s likelihood ratio, with the forecasts counted as the number of independent ones that would leave the share as uncertain as its change from month to month shows it to be (Rao and Scott 1984), read from Student''s t with months / horizon - 1 degrees of freedom. Null with too few months.';
