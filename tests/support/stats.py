"""Shares against weights: Pearson's chi-square test with an exact p-value."""

import math

P_MIN = 1e-6  # a sound balancer fails once in a million checks


def upper_gamma(a, x):
    """Regularised upper incomplete gamma function Q(a, x)."""
    if x <= 0:
        return 1.0
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:  # series for P
        term = total = 1.0 / a
        n = a
        while term > total * 1e-15:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1.0 - total * scale)
    tiny = 1e-300  # continued fraction, Lentz's method
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 10000):
        an = -i * (i - a)
        b += 2
        d = 1 / ((an * d + b) or tiny)
        c = (b + an / c) or tiny
        h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return scale * h


def chi_square_p(counts, weights):
    """The probability of counts at least as far from the weights as these. Both are dictionaries by backend."""
    total, whole = sum(counts.values()), sum(weights.values())
    statistic = sum((counts.get(key, 0) - total * weight / whole) ** 2 / (total * weight / whole)
                    for key, weight in weights.items() if weight)
    freedom = sum(1 for weight in weights.values() if weight) - 1
    return upper_gamma(freedom / 2, statistic / 2) if freedom else 1.0


def assert_shares(counts, weights, note=""):
    """Counts by name match the weights by name; a backend of weight 0 or of no weight got nothing."""
    strangers = {key: n for key, n in counts.items() if n and not weights.get(key)}
    assert not strangers, f"{note}: answers from {strangers}, weights {weights}"
    p = chi_square_p(counts, weights)
    assert p > P_MIN, f"{note}: {dict(counts)} does not match weights {weights} (p = {p:.2g})"
