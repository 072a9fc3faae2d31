"""Policies from files, and their errors as single lines. The extension module calls this."""

import itertools
import linecache
import os
import pathlib
import sys
import traceback
import types
from typing import Any, Dict, Optional, Tuple, Type, Union

from ._nfsteer import Error
from .policy import Policy

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_numbers = itertools.count(1)


def load(file: str, class_name: str, options: Dict[str, str]) -> Policy:
    """An object of the class, from the file as it is now: each time a module of its own."""
    cls = getattr(_module_of(file), class_name, None)
    if cls is None:
        raise Error(f"{file}: has no class {class_name}")
    return instance_of(cls, options)


def instance_of(policy: Union[Policy, Type[Policy]], options: Dict[str, str]) -> Policy:
    made = policy(**options) if isinstance(policy, type) else policy
    if not isinstance(made, Policy):
        raise Error(f"{_name_of(type(made))} is no nfsteer.Policy; derive the class from it")
    return made


def _module_of(file: str) -> types.ModuleType:
    path = pathlib.Path(file).absolute()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise Error(f"{file}: {error.strerror}") from None
    # Not by importlib: its cached bytecode goes by whole seconds and the size, and misses quick edits.
    module = types.ModuleType(f"nfsteer_policy_{next(_numbers)}_{path.stem}")
    module.__file__ = str(path)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for what lies beside it
    linecache.checkcache(str(path))
    sys.modules[module.__name__] = module  # dataclasses, typing and pickle look classes up there
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def traits(policy: Any) -> Tuple[bool, Optional[float]]:
    """Whether pick() is asked for each flow, and how often build() is. Refuses what contradicts itself."""
    policy = instance_of(policy, {})
    cls = type(policy)
    name = _name_of(cls)
    picks = cls.pick is not Policy.pick
    builds = cls.build is not Policy.build
    if policy.per_flow and not picks:
        raise Error(f"{name} has per_flow = True, and no pick(); write it, or leave per_flow out")
    if not policy.per_flow and not builds:
        raise Error(f"{name} has pick(), which is called in Python for each new flow only with per_flow = True in the "
                    "class; set it, or write build(), which returns a Table" if picks else
                    f"{name} has no build(); write it, or pick() and per_flow = True")
    refresh = policy.refresh_s
    if refresh is not None and not (isinstance(refresh, (int, float)) and not isinstance(refresh, bool)
                                    and 1 <= refresh < float("inf")):
        raise Error(f"{name} has refresh_s = {refresh!r}; give seconds, 1 or more, or None")
    return bool(policy.per_flow), refresh


def _name_of(cls: type) -> str:
    return cls.__qualname__


def describe(error: BaseException) -> str:
    """FILE:LINE: KIND: MESSAGE, of the last line outside of this package."""
    message = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith((_HERE, "<frozen"))]
    if isinstance(error, Error) and not frames:
        return message
    kind = "" if isinstance(error, Error) else type(error).__name__
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return ": ".join(part for part in (where, kind, message) if part)
