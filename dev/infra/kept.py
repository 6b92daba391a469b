"""Refuses to provision when that would silently undo what an earlier deployment was given.

    kept.py DEPLOYMENTS ACTION_GROUPS [--reset "NAME …"]

DEPLOYMENTS is what `az deployment group list` writes, ACTION_GROUPS what `az monitor action-group list` does. The
parameters to come are those of infra/main.parameters.json, from the environment, as azd reads them. A parameter that
was given before and is not given now would go back to the default of infra/main.bicep: exit 1, unless it is named in
`--reset`. Names are said, values are not: logs may be public.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

INFRA = Path(__file__).resolve().parents[2] / "infra"
# Parameters that only main.bicep has, of all templates of a deployment.
OURS = ("exportType", "alertEmail")
TAG = ("application", "appcenter-dsr")
# Says in `--reset` that nothing is known of earlier deployments, and that this is fine.
HISTORY = "history"


def defaults() -> dict:
    """The parameters of main.bicep with their defaults; None for one that is no plain value."""
    found = {}
    pattern = re.compile(r"^param (\w+) \w+(?: = (.*))?$", re.MULTILINE)
    for name, text in pattern.findall((INFRA / "main.bicep").read_text(encoding="utf-8")):
        if text.startswith("'") and "${" not in text:
            found[name] = text[1:-1]
        else:
            try:
                found[name] = json.loads(text)
            except ValueError:
                found[name] = None
    return found


def variables() -> dict:
    """The parameters that azd sets, and the variable of each."""
    text = (INFRA / "main.parameters.json").read_text(encoding="utf-8")
    given = json.loads(text)["parameters"]
    return {name: it["value"].removeprefix("${").removesuffix("}") for name, it in given.items()}


def last(deployments: list) -> dict | None:
    """The parameters of the last deployment of main.bicep that came to its end."""

    def is_ours(properties: dict) -> bool:
        parameters = properties.get("parameters") or {}
        return properties.get("provisioningState") == "Succeeded" and all(name in parameters for name in OURS)

    ours = [it["properties"] for it in deployments if is_ours(it["properties"])]
    if not ours:
        return None
    return max(ours, key=lambda it: it["timestamp"][:19])["parameters"]


def lost(before: dict, groups: list) -> list:
    """The parameters that were given before and are not given now."""
    named, standard = variables(), defaults()
    missing = [name for name, variable in named.items() if not os.environ.get(variable)]
    found = []
    for name in missing:
        value = before.get(name, {}).get("value")
        if value is not None and value != standard[name]:
            found.append(name)
    # A secret parameter has no value in the history. The token and the key of the index stay in the vault; where alerts
    # are posted to does not stay, but can be seen.
    if "alertWebhook" in missing and any(group.get("webhookReceivers") for group in groups):
        found.append("alertWebhook")
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("deployments", type=Path)
    parser.add_argument("groups", type=Path)
    parser.add_argument("--reset", default="")
    arguments = parser.parse_args()
    deployments = json.loads(arguments.deployments.read_text(encoding="utf-8"))
    groups = json.loads(arguments.groups.read_text(encoding="utf-8"))
    groups = [it for it in groups if (it.get("tags") or {}).get(TAG[0]) == TAG[1]]
    allowed = set(arguments.reset.split())
    named = variables()
    if unknown := sorted(allowed - set(named) - {HISTORY}):
        print(f"--reset: there is no parameter {', '.join(unknown)}", file=sys.stderr)
        return 2
    before = last(deployments)
    if before is None:
        if not groups or HISTORY in allowed:
            print("Nothing was deployed here before, as far as is known.")
            return 0
        print(
            "Something is deployed here, and its parameters are no longer in the group's history: set every variable"
            f" that it was given, then say `{HISTORY}` in --reset.",
            file=sys.stderr,
        )
        return 1
    refused = [name for name in lost(before, groups) if name not in allowed]
    for name in refused:
        print(
            f"{name} was given before, and {named[name]} is not set: it would go back to its default.",
            file=sys.stderr,
        )
    if refused:
        print("Set these variables, or name the parameters in --reset.", file=sys.stderr)
        return 1
    print("Nothing goes back to a default by being left out.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
