"""Policies for nfsteer in Python, and nfsteer from Python.

    import nfsteer

    class Heavy(nfsteer.Policy):
        def build(self, backends):
            return nfsteer.Table([b for b in backends for _ in range(b.weight)])

`nfsteer run --policy heavy.py:Heavy ...` steers by it, `nfsteer.Engine` does so from Python, `nfsteer.BoundPolicy` and
`nfsteer.simulate` try it out. bindings/python/README.md says what is asked when, and what it costs.
"""

from ._nfsteer import (Backend, Builtin, Error, Flow, Table, Weights, builtin, catalogue)
from .bound import BoundPolicy
from .engine import Engine
from .policy import Policy
from .simulation import simulate

__all__ = ["Backend", "BoundPolicy", "Builtin", "Engine", "Error", "Flow", "Policy", "Table", "Weights", "builtin",
           "catalogue", "simulate"]
