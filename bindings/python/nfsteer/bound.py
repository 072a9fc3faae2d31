"""Trying a policy out, without an engine."""

from collections.abc import Sequence
from typing import Optional, Type, Union

from . import _files, _nfsteer
from ._nfsteer import Backend, Flow
from .policy import Policy


class BoundPolicy:
    """A policy over backends, as an engine with one worker would have it.

    `policy`: an object, a class, or "FILE.py:CLASS". What the policy does wrong is raised.
    """

    def __init__(self, policy: Union[Policy, Type[Policy], str], backends: Sequence[Backend], *, seed: int = 1,
                 **options: str):
        if isinstance(policy, str):
            file, _, name = policy.rpartition(":")
            made = _files.load(file, name, options)
        else:
            made = _files.instance_of(policy, options)
        self._bound = _nfsteer.BoundPolicy(made, list(backends), seed)

    def pick(self, flow: Flow) -> Optional[int]:
        return self._bound.pick(flow)

    def refresh(self) -> None:
        """Calls build() again."""
        self._bound.refresh()
