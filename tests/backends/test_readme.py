"""The guide to adding a backend is followed to the letter, as a stranger would."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import storage_backends

README = Path(storage_backends.__file__).with_name("README.md")
BLOCK = re.compile(
    r"^```(?:python|toml)\n# (?P<path>\S+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def test_the_guide_builds_a_plugin_that_passes_the_suite(tmp_path):
    """The toy of the README, installed by its entry point, opens by URL and passes the suite."""
    files = {}
    for block in BLOCK.finditer(README.read_text()):
        files[block["path"]] = files.get(block["path"], "") + block["code"] + "\n"
    assert sorted(files) == ["pyproject.toml", "test_toy.py", "toy_storage/backend.py"]
    for path, code in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)
    install(tmp_path, tomllib.loads(files["pyproject.toml"])["project"]["entry-points"])

    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    suite = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "--rootdir",
        str(tmp_path),
    ]
    tests = python(tmp_path, environment, *suite, "test_toy.py")
    assert re.search(r"^\d\d+ passed in", tests, re.MULTILINE), tests
    opened = python(tmp_path, environment, "-c", OPEN, f"toy://{tmp_path}/by-url.db")
    assert opened == "b'hello'\n"


OPEN = """
import sys
from storage_backends.registry import Registry
with Registry.with_plugins().create(sys.argv[1]) as backend:
    backend.put("greeting", b"hello")
    print(backend.get("greeting"))
"""


def install(folder, groups):
    """What pip would do with these entry points."""
    info = folder / "toy_storage-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-storage\nVersion: 1.0\n")
    lines = []
    for group, points in groups.items():
        lines.append(f"[{group}]")
        lines.extend(f"{name} = {value}" for name, value in points.items())
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def python(folder, environment, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
