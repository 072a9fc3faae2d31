"""The engine, in this process."""

import atexit
import json
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Dict, List, Optional, Union
from urllib.parse import quote

from . import _nfsteer
from ._nfsteer import Error
from .naming import AnyPolicy, Naming

_running: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class Engine:
    """Steers while it runs; for root, as `nfsteer run` is.

        with nfsteer.Engine(services=[{"name": "web", "vip": "10.0.0.40", "policy": Mine(),
                                       "backends": [{"address": "10.0.0.20"}]}]) as engine:
            engine.status()

    The configuration is a file's path, YAML text (it has more than one line), or a dictionary with the fields of such a
    file; or `services` and `engine`, its two fields. A service's policy may be a Policy, as an object or a class. With
    `serve` the control socket is there too, for `nfsteer status` and its like. Everything that goes wrong is an
    nfsteer.Error of one line.
    """

    def __init__(self, config: Union[str, "os.PathLike[str]", Mapping[str, Any], None] = None, *,
                 services: Optional[Sequence[Mapping[str, Any]]] = None, engine: Optional[Mapping[str, Any]] = None,
                 serve: bool = True):
        self._naming = Naming()
        text: Optional[str] = None
        file: Optional[str] = None
        if config is None or isinstance(config, Mapping):
            text = self._text_of({**(config or {}), **({} if services is None else {"services": services}),
                                  **({} if engine is None else {"engine": engine})})
        elif services is not None or engine is not None:
            raise Error("config: is given, and services or engine as well; give one of them")
        elif isinstance(config, str) and "\n" in config:
            text = config
        else:
            file = os.path.abspath(os.fspath(config))
        self._engine = _nfsteer.Engine(text, file, serve, self._naming.objects)

    def _text_of(self, config: Mapping[str, Any]) -> str:
        services = [{key: self._naming.name_of(value) if key in ("policy", "shadow") else value
                     for key, value in service.items()} for service in config.get("services", [])]
        return json.dumps({**config, "services": services}, indent=1, default=str)

    def start(self) -> "Engine":
        self._engine.start()
        _running.add(self)
        return self

    def stop(self) -> None:
        """Leaves the kernel's ladder or removes it, as on_stop says."""
        _running.discard(self)
        self._engine.stop()

    def __enter__(self) -> "Engine":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._engine.runs

    def request(self, method: str, path: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        """The control API: what is asked of /v1 over the socket, without it."""
        status, text = self._engine.request(method, path, "" if body is None else json.dumps(body))
        answer = json.loads(text)
        if status >= 400:
            raise Error(answer["error"])
        return answer

    def status(self) -> Dict[str, Any]:
        return dict(self.request("GET", "/v1/status"))

    def services(self) -> List[Dict[str, Any]]:
        """As they are configured now."""
        return list(self.request("GET", "/v1/services")["services"])

    def set_policy(self, service: str, policy: AnyPolicy) -> None:
        """An object, a class, or as a configuration names it: "maglev", "/etc/nfsteer/mine.py:Mine"."""
        name = self._naming.name_of(policy)
        if name in self._naming.objects:
            self._engine.add_object(name, policy)
        self.change_service(service, policy=name)

    def set_weight(self, service: str, backend: str, weight: int) -> None:
        self.change_backend(service, backend, weight=weight)

    def drain(self, service: str, backend: str) -> None:
        """No new connections for it; the open ones go on."""
        self.change_backend(service, backend, state="drain")

    def activate(self, service: str, backend: str) -> None:
        self.change_backend(service, backend, state="active")

    def change_service(self, service: str, **fields: Any) -> None:
        self.request("PATCH", f"/v1/services/{quote(service, safe='')}", fields)

    def change_backend(self, service: str, backend: str, **fields: Any) -> None:
        self.request("PATCH", f"/v1/services/{quote(service, safe='')}/backends/{quote(backend, safe='')}", fields)


@atexit.register
def _stop_all() -> None:
    for engine in list(_running):
        engine.stop()
