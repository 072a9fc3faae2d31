"""The class that a policy derives from."""

from collections.abc import Sequence
from typing import ClassVar, Optional, Union

from ._nfsteer import Backend, Builtin, Flow, Table, Weights


class Policy:
    """Override build(), or set per_flow and override pick().

    Options of the configuration (`mine.py:Mine,zone=a`) are keyword arguments of __init__, as text.
    """

    #: build() is called again so many seconds later, at least 1, and so on; None: only when the backends change.
    refresh_s: ClassVar[Optional[float]] = None

    #: pick() is called for each new flow, in Python, by one worker at a time.
    per_flow: ClassVar[bool] = False

    def build(self, backends: Sequence[Backend]) -> Union[Table, Weights, Builtin, None]:
        """Called on the control thread when backends, their weights or the options change, and as refresh_s says.

        Not called while no backend has a positive weight. With per_flow, a place to prepare what pick() needs; it
        then returns None.
        """
        return None

    def pick(self, flow: Flow) -> Optional[int]:
        """With per_flow: the index of a backend whose weight is not 0, or None where no backend may take the flow."""
        raise NotImplementedError
