"""`python -m server`: serves Roost until it is told to stop.

Exit codes: 0 stopped as asked; 1 failed; 2 bad configuration or command line; 3 the data directory
is in use by another server; 4 cannot listen on the address; 5 a key file, the state database or a
storage location cannot be used.
"""

import argparse
import sys
from collections.abc import Sequence

from . import logs, settings


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server until it is told to stop; returns the exit code."""
    options = _options().parse_args(argv)
    try:
        loaded = settings.load(
            data_dir=options.data_dir, listen=options.listen, insecure=options.insecure
        )
    except settings.ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.check_config:
        sys.stdout.write("\n".join(settings.masked(loaded)) + "\n")
        return 0
    facts = {"simulator": True} if loaded.simulator.is_on else {}
    logs.setup(level=loaded.log.level, form=loaded.log.format, facts=facts)
    from . import process  # noqa: PLC0415  (a second of imports that a refusal does not need)

    return process.run(loaded)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="roost serve",
        description="Serves Roost. Every setting is a variable ROOST_…; see docs/configuration.md.",
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="ROOST_LISTEN; port 0: any free one")
    parser.add_argument("--data-dir", metavar="FOLDER", help="ROOST_DATA_DIR")
    parser.add_argument(
        "--insecure",
        action="store_const",
        const=True,
        help="ROOST_INSECURE: allow other machines without TLS",
    )
    parser.add_argument(
        "--check-config", action="store_true", help="print the settings, secrets masked, and exit"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
