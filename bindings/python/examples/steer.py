"""An engine from Python, for root: two backends, a policy of its own, weights changed while it steers.

    python3 steer.py 10.0.0.40 10.0.0.20 10.0.0.30
"""

import sys
import time
from collections.abc import Sequence

import nfsteer


class Spread(nfsteer.Policy):
    """Each client's address stays with one backend."""

    def build(self, backends: Sequence[nfsteer.Backend]) -> nfsteer.Table:
        return nfsteer.Table([backend for backend in backends for _ in range(backend.weight)], by="source")


def main(vip: str, *addresses: str) -> None:
    web = {"name": "web", "vip": vip, "policy": Spread, "backends": [{"address": each} for each in addresses]}
    with nfsteer.Engine(services=[web]) as engine:
        print("steering; Ctrl-C ends it")
        try:
            while True:
                time.sleep(2)
                for backend in engine.status()["services"][0]["backends"]:
                    print(f"{backend['address']}: {backend['picks']} picks", end="  ")
                print()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except nfsteer.Error as error:
        sys.exit(f"steer.py: {error}")
