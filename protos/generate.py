"""Writes protos/gen/python from the .proto files.

Run it after changing a .proto file: ``python protos/generate.py``. ``--check`` writes nothing and
fails if the committed code is not what the .proto files say.
"""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
COMMITTED = PROTOS / "gen" / "python"
PACKAGES = ("roost/v1", "roost/engine/v1")


def generate(target: Path) -> None:
    """Fills the empty folder `target` with the generated packages."""
    for package in PACKAGES:
        files = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / package).glob("*.proto"))
        if not files:
            continue
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={PROTOS}",
                f"--python_out={target}",
                f"--pyi_out={target}",
                f"--grpc_python_out={target}",
                *files,
            ],
            check=True,
        )
        for stub in (target / package).glob("*_pb2_grpc.py"):
            if "class " not in stub.read_text():  # a file without a service
                stub.unlink()
        folder = target / package
        while folder != target:
            (folder / "__init__.py").touch()
            folder = folder.parent
    (target / "roost" / "py.typed").touch()


def tree(root: Path) -> set[str]:
    """Paths of all generated files below `root`."""
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main() -> int:
    """Generates, or checks; returns the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        wanted = tree(fresh)
        committed = tree(COMMITTED) if COMMITTED.exists() else set()
        stale = sorted(
            name
            for name in wanted | committed
            if name not in wanted
            or name not in committed
            or not filecmp.cmp(fresh / name, COMMITTED / name, shallow=False)
        )
        if "--check" in sys.argv[1:]:
            for name in stale:
                print(f"not as the .proto files say: {COMMITTED / name}")
            return 1 if stale else 0
        for name in stale:
            place = COMMITTED / name
            if name in wanted:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes((fresh / name).read_bytes())
            else:
                place.unlink()
            print(f"{'wrote' if name in wanted else 'removed'} {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
