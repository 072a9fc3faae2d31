"""Policies under virtual time."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Dict, List, Optional, Union

from . import _nfsteer
from .naming import AnyPolicy, Naming, class_name_of


def simulate(scenario: Union[str, "os.PathLike[str]", Mapping[str, Any]],
             policies: Optional[Sequence[AnyPolicy]] = None) -> List[Dict[str, Any]]:
    """Runs a scenario under each of the policies: a report for each, in their order.

    `scenario`: a file's path, YAML text (it has more than one line), or a dictionary with the fields of such a file, of
    which README.md of engine/lab tells. `policies`: instead of the scenario's own. A report has the policy, its
    metrics by name, what became of each backend, and what each change moved.
    """
    naming = Naming()
    text: Optional[str] = None
    file = ""
    if isinstance(scenario, Mapping):
        own = [naming.name_of(each) for each in scenario.get("policies", [])]
        text = json.dumps({**scenario, **({"policies": own} if own else {})}, indent=1, default=str)
    elif isinstance(scenario, str) and "\n" in scenario:
        text = scenario
    else:
        file = os.path.abspath(os.fspath(scenario))
    names = [str(naming.name_of(each)) for each in policies or ()]
    reports: List[Dict[str, Any]] = _nfsteer.simulate(text, file, names, naming.objects)
    for report in reports:
        if report["policy"] in naming.objects:
            report["policy"] = class_name_of(naming.objects[report["policy"]])
    return reports
