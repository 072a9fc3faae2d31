"""Every new flow is decided in Python: some clients try the last backend, the others are spread by chance. A flow costs
microseconds this way; for thousands of new flows a second, return a Table from build() instead.

    nfsteer run --policy canary.py:Canary,prefix=10.1.0.0/24 --vip 10.0.0.40 --backend ...
"""

import ipaddress
from collections.abc import Sequence
from typing import Optional

import nfsteer


class Canary(nfsteer.Policy):
    per_flow = True

    def __init__(self, prefix: str = "10.1.0.0/24") -> None:
        self.prefix = ipaddress.ip_network(prefix)

    def build(self, backends: Sequence[nfsteer.Backend]) -> None:
        usable = [backend for backend in backends if backend.weight > 0]
        self.canary = usable[-1]
        self.others = nfsteer.builtin("weighted-random", usable[:-1] or usable)

    def pick(self, flow: nfsteer.Flow) -> Optional[int]:
        if ipaddress.ip_address(flow.source) in self.prefix:
            return self.canary.index
        return self.others.pick(flow)
