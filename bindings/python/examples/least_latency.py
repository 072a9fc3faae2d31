"""Shares by how quickly backends answer, looked at every two seconds; workers never wait for that.

    nfsteer run --policy least_latency.py:LeastLatency --vip 10.0.0.40 --backend ...
"""

from collections.abc import Sequence

import nfsteer


class LeastLatency(nfsteer.Policy):
    refresh_s = 2

    def build(self, backends: Sequence[nfsteer.Backend]) -> nfsteer.Weights:
        known = [backend.latency_us for backend in backends if backend.latency_us > 0]
        usual = sum(known) / len(known) if known else 1.0
        return nfsteer.Weights([backend.weight * usual / (backend.latency_us or usual) for backend in backends])
