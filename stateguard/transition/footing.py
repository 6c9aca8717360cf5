"""What an operation stands on: repositories that can be written, and room on the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stateguard.errors import StorageError
from stateguard.state.spool import SpooledRepository


@dataclass(frozen=True, slots=True)
class Footing:
    """Makes sure of both, as far as it can be made sure of; ``relief`` gives up the reserve of a full disk."""

    repositories: Sequence[SpooledRepository]
    relief: Callable[[], bool]

    def take(self, *, urgent: bool) -> None:
        """Let repositories that cannot be written go on in the spool; what is urgent may have the reserve too.

        Raises:
            StorageError: the home cannot be written either.
        """
        try:
            if urgent:
                self.relief()
        except OSError as error:
            message = f"the reserve could not be given up: {error.strerror or error}"
            raise StorageError(message, next_step="free space on that disk") from error
        for repository in self.repositories:
            repository.find_shelter()

    def come_home(self) -> None:
        """Bring home what lies in the spool, if the repositories can be written again.

        Raises:
            StorageError: it cannot be brought home.
        """
        for repository in self.repositories:
            repository.come_home()
