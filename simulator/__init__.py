"""Plays WhatsApp and the phone on loopback for the unmodified engine."""

from .client import Simulator
from .client_phone import Group, LinkedDevice, Message, Phone, Receipt
from .errors import (
    AccountExists,
    AccountNotFound,
    ClientLost,
    DeviceNotFound,
    GroupNotFound,
    MessageNotFound,
    NoCodeRequested,
    NothingCame,
    NotRunning,
    PairingRefused,
    QrExpired,
    QrMalformed,
    RequestInvalid,
    SimulatorError,
    WrongCode,
)

__all__ = [
    "AccountExists",
    "AccountNotFound",
    "ClientLost",
    "DeviceNotFound",
    "Group",
    "GroupNotFound",
    "LinkedDevice",
    "Message",
    "MessageNotFound",
    "NoCodeRequested",
    "NotRunning",
    "NothingCame",
    "PairingRefused",
    "Phone",
    "QrExpired",
    "QrMalformed",
    "Receipt",
    "RequestInvalid",
    "Simulator",
    "SimulatorError",
    "WrongCode",
]
