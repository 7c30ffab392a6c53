"""Commands for the user to type: here, or on the device."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from foxnas.device.config import SshConfig


@dataclass(frozen=True)
class Way:
    """How a user reaches a device, and makes it ready.

    Parameters
    ----------
    ssh
        As in the config; None for this machine.
    provision
        The command that puts there what measuring needs; empty where nothing is to be put.
    root
        Whether the user there is root, who needs no sudo.
    """

    ssh: SshConfig | None
    provision: str = ""
    root: bool = False

    def there(self, command: str) -> str:
        """Return what runs a shell command on the device, ``{sudo}`` in it standing for what root does without."""
        command = command.replace("{sudo}", "" if self.root else "sudo ")
        if self.ssh is None:
            return command
        terminal = ["-t"] if "sudo " in command else []  # where it may ask for a password
        return shlex.join(["ssh", *terminal, *self._options(), self.ssh.host, command])

    def login(self) -> str:
        """Return what logs in and does nothing."""
        return self.there("true")

    def _options(self) -> list[str]:
        assert self.ssh
        given = {"-F": self.ssh.config_file, "-l": self.ssh.user, "-p": self.ssh.port}
        return [word for option, value in given.items() if value is not None for word in (option, str(value))]
