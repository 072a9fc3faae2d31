"""Medians, quartiles, and figures as people read them.

Ratios and differences are taken within a round, between samples that ran close together, and only then summed up: what
the machine did meanwhile touches both alike.
"""

import collections
import statistics

SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

Spread = collections.namedtuple("Spread", "median low high")  # low, high: the quartiles


def spread(values):
    """Of one value, itself."""
    values = list(values)
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def within_rounds(combine, values, others):
    """combine(value, other) of each round that both have; both are {round: value}."""
    return {each: combine(values[each], others[each]) for each in sorted(values) if each in others}


def ratios(values, others):
    return within_rounds(lambda value, other: value / other, values, {each: v for each, v in others.items() if v})


def differences(values, others):
    return within_rounds(lambda value, other: value - other, values, others)


def shown(value):
    """Three digits that count, with a unit's prefix from a thousand on: 132 k."""
    for scale, letter in SCALES:
        # What rounds up to the scale is told in it: 1 M, not 1e+03 k.
        if abs(value) >= 0.9995 * scale:
            return f"{_digits(value / scale)} {letter}"
    return _digits(value)


def shown_spread(values):
    middle, low, high = spread(values)
    return f"{shown(middle)} ({shown(low)} to {shown(high)})"


def _digits(value):
    """As .3g, without an exponent for what is below a million."""
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e6 else text
