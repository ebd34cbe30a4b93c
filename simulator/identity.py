"""The simulator's long-lived keys; they survive its restarts, so its clients still trust it."""

from dataclasses import dataclass

from .signal.keys import KeyPair
from .store import Store
from .tls import Authority
from .wire.noise import ServerIdentity, certificate_chain


@dataclass(frozen=True, slots=True)
class Identity:
    """What a client must trust to be willing to talk."""

    root: KeyPair
    """The Noise certificate root; clients get its public half."""
    authority: Authority
    """Signs the TLS certificate."""
    server: ServerIdentity
    """What is shown in the Noise handshake."""

    @classmethod
    def load(cls, store: Store) -> "Identity":
        """The keys in the store; made on first use."""
        if store.meta("root_key") is None:
            authority = Authority.create()
            store.set_meta("ca_certificate", authority.certificate)
            store.set_meta("ca_key", authority.key)
            store.set_meta("root_key", KeyPair.generate().private)
            store.set_meta("static_key", KeyPair.generate().private)
        root = KeyPair.from_private(store.meta("root_key") or b"")
        static = KeyPair.from_private(store.meta("static_key") or b"")
        authority = Authority(store.meta("ca_certificate") or b"", store.meta("ca_key") or b"")
        return cls(root, authority, ServerIdentity(static, certificate_chain(root, static)))

    def untrusted(self) -> ServerIdentity:
        """The same key, vouched for by somebody nobody knows."""
        static = self.server.static
        return ServerIdentity(static, certificate_chain(KeyPair.generate(), static))
