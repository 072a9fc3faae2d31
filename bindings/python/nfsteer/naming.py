"""How policies that are objects of this process are named where a text has to name them."""

import itertools
import os
from typing import Any, Dict, Type, Union

from .policy import Policy

#: As a configuration names it: "maglev", "/etc/nfsteer/mine.py:Mine"; or an object, or a class.
AnyPolicy = Union[str, Policy, Type[Policy]]


class Naming:
    def __init__(self) -> None:
        self.objects: Dict[str, Any] = {}
        self._numbers = itertools.count(1)

    def name_of(self, policy: Any) -> Any:
        """Of a Policy its name; a file's path from the root directory on; whatever else there is, as it is."""
        if isinstance(policy, str):
            return _absolute(policy)
        if not isinstance(policy, Policy) and not (isinstance(policy, type) and issubclass(policy, Policy)):
            return policy
        name = f"/python/{next(self._numbers)}.py:{class_name_of(policy)}"
        self.objects[name] = policy
        return name


def class_name_of(policy: Union[Policy, Type[Policy]]) -> str:
    return (policy if isinstance(policy, type) else type(policy)).__name__


def _absolute(spec: str) -> str:
    name = spec.split(",", 1)[0]
    return os.path.abspath(name) + spec[len(name):] if name.endswith(".so") or ".py:" in name else spec
