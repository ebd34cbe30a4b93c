"""Exit codes: the one table, shown by `roost --help` and in docs/cli.md."""

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
UNAUTHENTICATED = 4
NOT_FOUND = 5
REFUSED = 6
BUSY = 7
PAIRING = 8
UNHEALTHY = 9
INTERRUPTED = 130

TEXTS = {
    OK: "Done.",
    FAILED: "It failed; the message says why.",
    USAGE: "The command line, or a value in it, is wrong.",
    UNREACHABLE: "No server answered, or it was shutting down.",
    UNAUTHENTICATED: "No valid API key.",
    NOT_FOUND: "There is no such session, backup or operation.",
    REFUSED: "Not in this state: it exists already, is not paired, or needs --force.",
    BUSY: "Changed or busy meanwhile; try again.",
    PAIRING: "Pairing ran out of time or was rejected.",
    UNHEALTHY: "doctor or a check of the vault found a problem.",
    INTERRUPTED: "Interrupted by Ctrl-C.",
}

BY_CODE = {
    "INVALID_ARGUMENT": USAGE,
    "UNAVAILABLE": UNREACHABLE,
    "UNAUTHENTICATED": UNAUTHENTICATED,
    "PERMISSION_DENIED": UNAUTHENTICATED,
    "NOT_FOUND": NOT_FOUND,
    "ALREADY_EXISTS": REFUSED,
    "FAILED_PRECONDITION": REFUSED,
    "ABORTED": BUSY,
    "CANCELLED": FAILED,
}
BY_REASON = {
    "PAIRING_EXPIRED": PAIRING,
    "PAIRING_REJECTED": PAIRING,
    "RECIPIENT_NOT_FOUND": NOT_FOUND,
    # One session or one storage, not the server.
    "ENGINE_UNAVAILABLE": FAILED,
    "STORAGE_UNAVAILABLE": FAILED,
    "VAULT_BUSY": BUSY,
    "SEND_TIMED_OUT": FAILED,
}


def exit_code(code: str, reason: str) -> int:
    """For an error with this gRPC code name and reason."""
    return BY_REASON.get(reason, BY_CODE.get(code, FAILED))


def described() -> list[tuple[int, str]]:
    """All codes with their texts."""
    return list(TEXTS.items())
