"""Counts the records of App Center's log blobs that hold an identifier: the script that people write.

Usage: search.py PATTERNS FILE...

PATTERNS has an identifier a line. Every record is parsed, and its Properties too; every string in them is looked up
whole, and e-mail addresses inside of strings by a regular expression. `cargo xtask bench search` compares its speed.
"""

import json
import re
import sys

ADDRESS = re.compile(r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def is_match(record, wanted):
    texts = list(strings(record))
    properties = record.get("Properties") if isinstance(record, dict) else None
    if isinstance(properties, str) and properties.startswith("{"):
        texts.extend(strings(json.loads(properties)))
    for text in texts:
        lowered = text.lower()
        if lowered in wanted:
            return True
        if "@" in lowered and any(it in wanted for it in ADDRESS.findall(lowered)):
            return True
    return False


def main():
    with open(sys.argv[1], encoding="utf-8") as patterns:
        wanted = {line.strip().lower() for line in patterns}
    count = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as blob:
            value = json.load(blob)
        for record in value if isinstance(value, list) else [value]:
            count += is_match(record, wanted)
    print(count)


main()
