"""Measurements, apart from the tests: speed as ratios within one run, skill beside its peers. `make bench` runs all."""
