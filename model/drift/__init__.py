"""Drift: is what is served still as good as it was when its model was judged?

`reference_forecast` is a plain forecast made afresh from prices, which shares nothing with the model but the prices.
`evidence` makes a few numbers of each scored month: what was served, held against the reference_forecast. `watch` adds up how
much worse than expected they are and says from when on that is more than luck. `inputs` looks at the prices alone.
"""
