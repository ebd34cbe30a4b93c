"""What can go wrong between a test and the simulator; the same classes on both sides.

The control API sends `code` and the keyword arguments, and the Python handle raises the class
again.
"""

from typing import ClassVar


class SimulatorError(Exception):
    """Something that was asked of the simulator cannot be done."""

    code: ClassVar[str] = "SIMULATOR_ERROR"
    status: ClassVar[int] = 409

    def __init__(self, detail: str = "") -> None:
        super().__init__((type(self).__doc__ or "").split("\n", 1)[0] + (detail and f" {detail}"))
        self.detail = detail


class RequestInvalid(SimulatorError):
    """The request to the control API makes no sense."""

    code = "REQUEST_INVALID"
    status = 400


class AccountNotFound(SimulatorError):
    """No account has that number or address."""

    code = "ACCOUNT_NOT_FOUND"
    status = 404


class AccountExists(SimulatorError):
    """The phone number has an account already."""

    code = "ACCOUNT_EXISTS"


class GroupNotFound(SimulatorError):
    """No group has that address, or the account is not in it."""

    code = "GROUP_NOT_FOUND"
    status = 404


class DeviceNotFound(SimulatorError):
    """The account has no such linked device."""

    code = "DEVICE_NOT_FOUND"
    status = 404


class MessageNotFound(SimulatorError):
    """No such text has come to that phone."""

    code = "MESSAGE_NOT_FOUND"
    status = 404


class QrMalformed(SimulatorError):
    """The scanned text is no linking code."""

    code = "QR_MALFORMED"
    status = 400


class QrExpired(SimulatorError):
    """The scanned code is not, or no longer, offered by a waiting client."""

    code = "QR_EXPIRED"


class NoCodeRequested(SimulatorError):
    """No client waits for a pairing code of this number."""

    code = "NO_CODE_REQUESTED"


class WrongCode(SimulatorError):
    """The pairing code that was typed is not the one the client shows."""

    code = "WRONG_CODE"


class PairingRefused(SimulatorError):
    """The client did not accept what the phone answered."""

    code = "PAIRING_REFUSED"


class ClientLost(SimulatorError):
    """The client left, or did not answer in time."""

    code = "CLIENT_LOST"
    status = 504


class NothingCame(SimulatorError):
    """What was waited for did not come in time."""

    code = "NOTHING_CAME"
    status = 504


class NotRunning(SimulatorError):
    """The simulator's process has ended or did not start."""

    code = "NOT_RUNNING"
    status = 503


def _tree(root: type[SimulatorError]) -> dict[str, type[SimulatorError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE = _tree(SimulatorError)
"""Every class by its code."""
