"""Our few declarations of C functions are those of neonize's own binding."""

import subprocess
import sys

# In a process of its own: neonize's binding loads Go.
PROGRAM = """
import ctypes, importlib.util, sys, types
from pathlib import Path
from server.engine import binding

folder = importlib.util.find_spec("neonize").submodule_search_locations[0]
for name in ("neonize", "neonize.utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder + name.removeprefix("neonize").replace(".", "/")]
version = types.ModuleType("neonize.download")
version.__GONEONIZE_VERSION__, version.download = "0.5.2", None
sys.modules["neonize.download"] = version
from neonize import _binder

def plain(kind):
    if kind is None:
        return None
    if issubclass(kind, ctypes._Pointer):
        return ("pointer", plain(kind._type_))
    if issubclass(kind, ctypes._CFuncPtr):
        return ("callback", [plain(one) for one in kind._argtypes_])
    if issubclass(kind, ctypes.Structure):
        return [(name, plain(field)) for name, field in kind._fields_]
    return kind.__name__

declared = {
    **{name: (arguments, ctypes.c_void_p) for name, arguments in binding.TEXTS.items()},
    **{
        name: (arguments, ctypes.POINTER(binding.Buffer))
        for name, arguments in binding.BUFFERS.items()
    },
    **binding.VALUES,
}
for name, (arguments, result) in declared.items():
    theirs = getattr(_binder.gocode, name)
    if theirs.argtypes is not None:
        assert [plain(one) for one in theirs.argtypes] == [plain(one) for one in arguments], name
    if result is not None:  # where neonize says nothing, ctypes assumes an int that nobody reads
        assert plain(theirs.restype) == plain(result), name
print("compared", len(declared))
"""


def test_signatures_are_neonizes_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("compared 12\n", 0), done.stderr
