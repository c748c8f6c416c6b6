"""Bars, splits and dividends of a chart response, as traded.

- Dividends that are off by 100 from the adjusted closes are scaled.
- Yahoo adjusts closes and dividends for every split up to the present. The splits are undone.
- yfinance moves a split or dividend on a day without a bar to the bar before it, which puts that bar on the wrong side
  of the split. The events are therefore read from the response, with their own dates.
- The bar of a running session is dropped. A volume or open of 0 is a missing value.
- London, Johannesburg and Tel Aviv quote in hundredths (GBp, ZAc, ILA). The prices are converted to GBP, ZAR and ILS.
- Some responses repeat bars on Sundays. Bars on days without a session are dropped.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from model.bars.adjustment import undo_splits
from model.frames import ACTION_TYPES, BAR_TYPES, PRICE_COLUMNS
from model.quality.dividend_units import repair_dividend_units
from model.quality.findings import Finding, Treatment, findings_frame
from tasks.calendars import last_closed_session, sessions_between
from tasks.sources.base import Fetched, Outcome, SourceOutcome, session_spans, stack, without_bars
from tasks.sources.yahoo.session import Chart

# ISO 10383 codes, each followed by Yahoo's codes for it. An index uses the calendar of its home exchange, a
# cryptocurrency (CCC) every day.
_EXCHANGES = """
XNYS NYQ NYS SNP DJI WCB | XNAS NMS NGM NCM NAS NIM | XASE ASE | ARCX PCX | BATS BTS | XTSE TOR | XTSX VAN | BVMF SAO
XLON LSE IOB FGI | XETR GER | XFRA FRA | XPAR PAR | XAMS AMS | XBRU BRU | XLIS LIS | XMIL MIL | XMAD MCE | XSWX EBS
XSTO STO | XOSL OSL | XCSE CPH | XHEL HEL | XTKS JPX OSA | XHKG HKG | XSHG SHH | XKRX KSC | XASX ASX | XSES SES
XJSE JNB | XBOM BSE | XIDX JKT | 24/7 CCC
"""
MIC_OF_YAHOO_EXCHANGE = {
    code: mic for entry in re.split(r"[|\n]", _EXCHANGES.strip()) for mic, *codes in [entry.split()] for code in codes
}
CURRENCY_OF_HUNDREDTH = {"GBp": "GBP", "ZAc": "ZAR", "ILA": "ILS"}


def read_chart(symbol: str, frame: pd.DataFrame, chart: Chart | None, first: date | None, now: datetime) -> Fetched:
    """Read bars and actions as traded from `first` to the last session closed at `now`.

    Args:
        symbol: Symbol, as Yahoo spells it.
        frame: Daily history of `yfinance.Ticker.history`, not adjusted.
        chart: Chart of the same response.
        first: Earliest session; None: from the start.
        now: Moment of the request, timezone-aware.

    Returns:
        The fetch of the symbol: missing, if it has no bar in that time; rejected, if its exchange or currency is
        unknown; source_error, if the response is for another symbol. Bars on days without a session and dividends in
        an unknown currency are left out, with a finding.

    Raises:
        BadRequestError: if the exchange's calendar does not cover `now`.
        ValueError: if `chart` is None.
    """
    if chart is None:
        raise ValueError("`chart` must be the chart of the response; received None.")
    if frame.empty:
        return without_bars(symbol, Outcome.MISSING, no_prices(first))
    result = chart["result"][0]
    answered = str(result["meta"].get("symbol") or symbol)
    if answered.upper() != symbol.upper():
        return without_bars(symbol, Outcome.SOURCE_ERROR, f"the response is for the symbol {answered[:20]!r}")
    exchange, currency, kind = (result["meta"].get(name) for name in ("exchangeName", "currency", "instrumentType"))
    mic = MIC_OF_YAHOO_EXCHANGE.get(exchange)
    if mic is None:
        reason = f"no calendar for Yahoo's exchange {exchange!r} (instrument type {kind!r})"
        return without_bars(symbol, Outcome.REJECTED, reason)
    if not currency:
        return without_bars(symbol, Outcome.REJECTED, f"no currency in Yahoo's response (exchange {exchange!r})")
    unit = 0.01 if currency in CURRENCY_OF_HUNDREDTH else 1.0
    bars = frame.rename(columns=str.lower)[[*PRICE_COLUMNS, "volume"]].astype("float64")
    bars[PRICE_COLUMNS] *= unit
    bars[["open", "volume"]] = bars[["open", "volume"]].mask(bars[["open", "volume"]] == 0.0)
    # The index is midnight at the exchange: its local date is the session.
    bars = bars.assign(symbol=symbol, session=pd.DatetimeIndex(frame.index).tz_localize(None)).dropna(
        subset=PRICE_COLUMNS, how="all"
    )
    bars, other_days = _drop_other_days(stack([bars], BAR_TYPES), mic)
    actions, unknown = _read_actions(symbol, result, currency)
    if "Adj Close" in frame:
        adjusted = bars[["symbol", "session", "close"]].merge(_adjusted_closes(frame, unit), on="session")
        actions, doubtful = repair_dividend_units(actions, adjusted, is_hundredth=currency in CURRENCY_OF_HUNDREDTH)
        unknown += doubtful
    bars, actions = undo_splits(bars, actions)
    span = (pd.Timestamp.min if first is None else pd.Timestamp(first), pd.Timestamp(last_closed_session(mic, now)))
    bars, actions = bars[bars["session"].between(*span)], actions[actions["ex_date"].between(*span)]
    if bars.empty:
        return without_bars(symbol, Outcome.MISSING, f"{no_prices(first)}, of a session closed by {span[1]:%Y-%m-%d}")
    instrument = session_spans(bars).assign(
        first_trade=_first_trade(result["meta"]),
        exchange_mic=mic,
        currency_code=CURRENCY_OF_HUNDREDTH.get(currency, currency),
        bar_interval="daily",
    )
    findings = findings_frame(finding for finding in (*other_days, *unknown) if span[0] <= finding.session <= span[1])
    return Fetched(bars, actions, (SourceOutcome(symbol, Outcome.OK),), instrument, findings)


def _adjusted_closes(frame: pd.DataFrame, unit: float) -> pd.DataFrame:
    """Return session and adj_close of a history."""
    days = pd.DatetimeIndex(frame.index).tz_localize(None).astype("datetime64[ns]")
    return pd.DataFrame({"session": days, "adj_close": frame["Adj Close"].to_numpy("float64") * unit}).drop_duplicates(
        "session"
    )


def _first_trade(meta: dict[str, Any]) -> pd.Timestamp | None:
    """Return the date of the first trade at the exchange, as Yahoo reports it; None if it reports none."""
    moment = meta.get("firstTradeDate")
    if not isinstance(moment, int | float):
        return None
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)  # negative before 1970
    return pd.Timestamp(local.astimezone(ZoneInfo(meta["exchangeTimezoneName"])).date())


def _drop_other_days(bars: pd.DataFrame, mic: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Drop the bars on days without a session of the exchange; Yahoo repeats bars on Sundays."""
    if bars.empty:
        return bars, []
    # From two weeks earlier, so that the first bar is checked.
    first = (bars["session"].iloc[0] - pd.Timedelta(days=14)).date()
    sessions, _ = sessions_between(mic, first, bars["session"].iloc[-1].date())
    if not len(sessions):
        return bars, []
    is_other = ~bars["session"].isin(sessions) & (bars["session"] >= sessions[0])
    findings = [
        Finding(symbol, day, "day_without_session", float(close), Treatment.EXCLUDED, "the exchange has no session")
        for symbol, day, close in bars.loc[is_other, ["symbol", "session", "close"]].itertuples(index=False)
    ]
    return bars[~is_other].reset_index(drop=True), findings


def is_empty(chart: Chart) -> bool:
    """Check that a chart is well-formed and has no prices: no results, or an empty quote object, as for a weekend."""
    try:
        return not chart["error"] and not any(result["indicators"]["quote"][0] for result in chart["result"] or [])
    except (KeyError, IndexError, TypeError):
        return False


def no_prices(first: date | None) -> str:
    """Describe a valid response without prices from `first` on."""
    return "Yahoo returned no prices" + (f" from {first} on" if first else "")


def _read_actions(symbol: str, result: dict[str, Any], currency: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Read splits, and dividends still adjusted for splits, each with its date at the exchange.

    Capital gains of a fund are cash paid, too. A dividend in another currency than the prices is left out, with a
    finding, unless one is the hundredth of the other.
    """
    findings = list[Finding]()
    zone, events = ZoneInfo(result["meta"]["exchangeTimezoneName"]), result.get("events") or {}
    values: dict[tuple[date, str], float] = {}
    for event in (events.get("splits") or {}).values():
        if event["numerator"] > 0 and event["denominator"] > 0:
            day = datetime.fromtimestamp(event["date"], zone).date()
            values[day, "split"] = event["numerator"] / event["denominator"]
    for event in (*(events.get("dividends") or {}).values(), *(events.get("capitalGains") or {}).values()):
        if event["amount"] > 0:  # a regular and a special dividend may share a day
            day = datetime.fromtimestamp(event["date"], zone).date()
            paid = str(event.get("currency") or currency)
            if CURRENCY_OF_HUNDREDTH.get(paid, paid) == CURRENCY_OF_HUNDREDTH.get(currency, currency):
                unit = 0.01 if paid in CURRENCY_OF_HUNDREDTH else 1.0
                values[day, "dividend"] = values.get((day, "dividend"), 0.0) + event["amount"] * unit
            else:
                reason = f"{event['amount']:g} {paid[:3]} on prices in {currency}: not stored"
                place = symbol, pd.Timestamp(day), "dividend_currency", float(event["amount"])
                findings.append(Finding(*place, Treatment.EXCLUDED, reason))
    rows = [(symbol, day, kind, value) for (day, kind), value in values.items()]
    return stack([pd.DataFrame(rows, columns=list(ACTION_TYPES))], ACTION_TYPES), findings
