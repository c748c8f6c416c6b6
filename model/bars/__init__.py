"""Prices: from bars as traded to total returns and months.

- `adjustment`: total returns and adjusted closes from bars and actions, and the way back from adjusted prices.
- `months`: months built from sessions.
- `overlap`: evidence of whether the bars of two sources are the same series.
- `rebase`: a restated download brought to the split basis of the stored bars.
"""
