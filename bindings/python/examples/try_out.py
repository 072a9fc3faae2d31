"""Tries the policies of this folder without an engine: python3 try_out.py"""

import pathlib
from collections import Counter

import nfsteer

here = pathlib.Path(__file__).parent
backends = [nfsteer.Backend(f"10.0.0.{20 + n}", weight=n + 1, data=f"zone={'ab'[n % 2]}") for n in range(4)]
flows = [nfsteer.Flow(f"10.{n % 4}.0.10", "10.0.0.40", 1024 + n, 80) for n in range(20_000)]

for policy in ("zone.py:ZoneFirst", "least_latency.py:LeastLatency", "canary.py:Canary"):
    bound = nfsteer.BoundPolicy(str(here / policy), backends)
    shares = Counter(bound.pick(flow) for flow in flows)
    print(f"{policy:32}", *(f"{shares[index] / len(flows):6.1%}" for index in range(len(backends))))
