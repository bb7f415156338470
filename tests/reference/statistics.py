"""Intervals, paired tests and Holm's correction by SciPy and statsmodels.

usage: python3 statistics.py > statistics.json        (needs scipy, statsmodels, numpy)

interval: scipy.stats.t.interval(0.95, n - 1, mean, sem); p: scipy.stats.ttest_rel; holm:
statsmodels.stats.multitest.multipletests(p, method="holm").
"""
import json

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests

random = np.random.default_rng(0)
cases = []
for n, gap, spread in [(2, 0.0, 0.01), (3, 0.02, 0.01), (5, 0.003, 0.004), (10, 0.0, 0.02), (30, 0.001, 0.003), (5, 0.2, 1e-4)]:
    common = 0.7 + 0.05 * random.standard_normal(n)
    a = common + spread * random.standard_normal(n)
    b = common + gap + spread * random.standard_normal(n)
    low, high = stats.t.interval(0.95, n - 1, a.mean(), stats.sem(a))
    difference = b - a
    dlow, dhigh = stats.t.interval(0.95, n - 1, difference.mean(), stats.sem(difference))
    cases.append({
        "a": a.tolist(), "b": b.tolist(),
        "mean": a.mean(), "interval": [low, high],
        "difference": difference.mean(), "difference_interval": [dlow, dhigh],
        "p": stats.ttest_rel(b, a).pvalue,
    })
p = [case["p"] for case in cases]
print(json.dumps({
    "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "numpy": np.__version__},
    "cases": cases,
    "holm": multipletests(p, method="holm")[1].tolist(),
}, indent=1))
