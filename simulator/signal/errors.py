"""What can go wrong between two devices, each as the type a real peer would act upon.

    SignalError
    ├── NoSession          a `msg` from, or a text to, a device no session exists with
    ├── BadMac             a session exists, but its keys do not fit the message
    ├── OldCounter         the message's key was used up already
    │   └── Duplicate      ... by this very message: a repeat, nothing is lost
    ├── TooFarAhead        more messages are missing than a session keeps keys for
    ├── NoPreKey           a `pkmsg` names a prekey that is not there (any more)
    ├── NoSenderKey        a group text from a device whose sender key never came
    ├── BadSignature       a prekey bundle or group text is not signed by whom it names
    ├── MalformedMessage   not a message at all
    └── WrongCode          the pairing code typed on the phone is not the companion's

A message never names keys or plaintext.
"""


class SignalError(Exception):
    """Something that keeps a message from being read or written."""


class NoSession(SignalError):
    """There is no session with that device."""


class BadMac(SignalError):
    """No session with that device has the keys this message was made with."""


class OldCounter(SignalError):
    """The key of this message was used already: its sender went back in time, or it is a repeat."""


class Duplicate(OldCounter):
    """This very message was read before."""


class TooFarAhead(SignalError):
    """Too many messages before this one are missing."""


class NoPreKey(SignalError):
    """The message was made for a prekey this device does not have."""


class NoSenderKey(SignalError):
    """No sender key of that device is known for that group."""


class BadSignature(SignalError):
    """A signature does not fit its key."""


class MalformedMessage(SignalError):
    """The bytes are not a message of this protocol."""


class WrongCode(SignalError):
    """The typed pairing code does not open what the companion sent."""
