"""Plays WhatsApp and the phone on loopback for the unmodified engine."""

from .client import Simulator
from .errors import (
    AccountExists,
    AccountNotFound,
    ClientLost,
    DeviceNotFound,
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
from .phone import LinkedDevice, Phone

__all__ = [
    "AccountExists",
    "AccountNotFound",
    "ClientLost",
    "DeviceNotFound",
    "LinkedDevice",
    "NoCodeRequested",
    "NotRunning",
    "NothingCame",
    "PairingRefused",
    "Phone",
    "QrExpired",
    "QrMalformed",
    "RequestInvalid",
    "Simulator",
    "SimulatorError",
    "WrongCode",
]
