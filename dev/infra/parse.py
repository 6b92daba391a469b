"""Parses every Bicep file of a folder with pycep-parser: `parse.py FOLDER`. Exit 1 when one does not parse.

A file that must not parse is tried first, so that a parser that takes everything is noticed.
"""

import sys
import warnings
from importlib.metadata import version
from pathlib import Path

# Old grammars have escapes that newer Pythons warn of.
warnings.simplefilter("ignore")

from pycep import BicepParser  # noqa: E402

BROKEN = "resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {\n  name: \n}\n"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("parse.py FOLDER", file=sys.stderr)
        return 2
    parser = BicepParser()
    try:
        parser.parse(text=BROKEN)
    except Exception:  # noqa: BLE001 - the grammar's own errors have no common type
        pass
    else:
        print("The parser takes what is no Bicep.", file=sys.stderr)
        return 1
    files = sorted(Path(arguments[0]).rglob("*.bicep"))
    faults = 0
    for file in files:
        try:
            parser.parse(text=file.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001
            faults += 1
            print(f"{file}: {str(error).splitlines()[0]}", file=sys.stderr)
    print(f"pycep-parser {version('pycep-parser')}: {len(files)} files, {faults} faults.")
    return 0 if files and not faults else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
