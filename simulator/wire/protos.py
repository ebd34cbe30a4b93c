"""WhatsApp's protobuf classes, taken from neonize's package without loading its Go library.

Importing `neonize` loads Go. The generated classes below it do not need that, so a stub stands
in for the package while they are imported, and is gone again afterwards.
"""

import importlib
import importlib.util
import sys
from types import ModuleType


def _load(*names: str) -> tuple[ModuleType, ...]:
    spec = importlib.util.find_spec("neonize")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("the simulator needs roost[server]: neonize is not installed")
    loaded = sys.modules.get("neonize")
    path = list(sys.path)
    if loaded is None:
        stub = ModuleType("neonize")
        stub.__path__ = list(spec.submodule_search_locations)
        sys.modules["neonize"] = stub
    try:
        return tuple(importlib.import_module(f"neonize.proto.{name}") for name in names)
    finally:
        sys.path[:] = path  # neonize.proto puts itself in front
        if loaded is None:
            for name in [name for name in sys.modules if name.partition(".")[0] == "neonize"]:
                del sys.modules[name]


adv, cert, common, companion_reg, e2e, history_sync, sync_action, wa6 = _load(
    "waAdv.WAAdv_pb2",
    "waCert.WACert_pb2",
    "waCommon.WACommon_pb2",
    "waCompanionReg.WACompanionReg_pb2",
    "waE2E.WAWebProtobufsE2E_pb2",
    "waHistorySync.WAWebProtobufsHistorySync_pb2",
    "waSyncAction.WAWebProtobufSyncAction_pb2",
    "waWa6.WAWebProtobufsWa6_pb2",
)
