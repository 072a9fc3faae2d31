"""Backends of this zone first, the others while it has none: `data: zone=a` in the configuration says where each is.

    nfsteer run --policy zone.py:ZoneFirst,zone=a --vip 10.0.0.40 --backend ...
"""

from collections.abc import Sequence

import nfsteer


class ZoneFirst(nfsteer.Policy):
    def __init__(self, zone: str = "a") -> None:
        self.wanted = f"zone={zone}"

    def build(self, backends: Sequence[nfsteer.Backend]) -> nfsteer.Table:
        usable = [backend for backend in backends if backend.weight > 0]
        near = [backend for backend in usable if backend.data == self.wanted]
        return nfsteer.Table([backend for backend in near or usable for _ in range(backend.weight)])
