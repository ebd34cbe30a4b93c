"""What others do when something happens to a session."""

from server.core.names import SessionName

from .model import Session


class Hooks:
    """Nothing, unless overridden. Called in the supervisor's turn, which waits for none of them."""

    def stopped(self, name: SessionName) -> None:
        """Its engine has ended cleanly and no other one follows by itself. Must not raise."""

    async def before_delete(self, name: SessionName) -> None:
        """Its engine has ended; its keys go to trash when this returns, raises or takes long.

        Meanwhile nobody can start or change the session.
        """

    def revoked(self, session: Session, reason: str, trash: str) -> None:
        """WhatsApp does not accept its credentials any more, for a `Condition.reason`.

        `session` is as it was with them; `trash` is the folder, below the data directory, that has
        its store now. Must not raise.
        """
