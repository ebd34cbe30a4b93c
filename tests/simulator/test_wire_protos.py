"""The protobuf classes come without the Go library."""

import subprocess
import sys

_PROGRAM = """
import sys
from simulator.wire import protos
message = protos.e2e.Message(conversation="hi")
assert protos.e2e.Message.FromString(message.SerializeToString()).conversation == "hi"
assert protos.wa6.ClientPayload and protos.wa6.HandshakeMessage and protos.cert.CertChain
assert protos.adv.ADVSignedDeviceIdentity and protos.companion_reg.DeviceProps
assert not [name for name in sys.modules if name.startswith("neonize")]
assert not [path for path in sys.path if "neonize" in path]
assert "neonize-linux" not in open("/proc/self/maps").read()
"""


def test_protobuf_classes_load_without_go_and_leave_no_stub():
    """The classes work; afterwards neither neonize's library nor a stub of it is loaded."""
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True, timeout=60)
