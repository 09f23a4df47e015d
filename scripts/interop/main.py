"""Run the checks that scripts/interop.sh asks for, and print one table.

usage: python -m scripts.interop.main [--run NAME]… [--missing NAME]…
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.interop import litellm_proxy, llama_server
from scripts.interop.checks import Table
from scripts.interop.servers import NotServingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WORK: Final = Path(".interop/work")
CHECKS: Final[Mapping[str, Callable[[Path, Table], None]]] = {
    "litellm": litellm_proxy.check,
    "llama": llama_server.check,
}


def main() -> int:
    """Run, print, and return the exit code: 0 only if everything ran and held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--run", "--missing"):
        parser.add_argument(option, action="append", choices=CHECKS, default=[])
    arguments = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    table = Table()
    for name in arguments.run:
        try:
            CHECKS[name]((WORK / name).absolute(), table)
        except NotServingError as error:
            table.add(name, "not checked", [str(error)])
    for name in arguments.missing:
        table.add(name, "not checked", [f"could not be installed; see .interop/{name}.log"])
    print("\n".join(table.lines()))
    return 0 if table.held else 1


if __name__ == "__main__":
    sys.exit(main())
