"""Drift: is what is served still as good as it was when its model was judged?

`yardstick` is a plain forecast made afresh from prices, which shares nothing with the model but the prices.
`evidence` makes a few numbers of each scored month: what was served, held against the yardstick. `watch` adds up how
much worse than usual they are and says from when on that is more than luck. `inputs` looks at the prices alone.
"""
