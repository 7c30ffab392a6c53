"""Boards of a rack made ready, and held against each other."""

from __future__ import annotations

import logging
from collections.abc import Callable

from foxnas.device.board_session import of_another_kind
from foxnas.device.provisioning.installation import Readiness
from foxnas.device.rack import Rack
from foxnas.device.transport import Device, DeviceLost
from foxnas.errors import FoxnasError

_log = logging.getLogger(__name__)


def provision_boards(rack: Rack, prepare: Callable[[Device], Readiness]) -> dict[str, Readiness]:
    """Return, by host, what `prepare` finds on every board that can be reached.

    A board that is away is made ready when it is back and first measured on. Raises DeviceLost when all of them are,
    FoxnasError when one is of another kind than the others.
    """
    found: dict[str, Readiness] = {}
    lost: list[DeviceLost] = []
    for board in rack.boards:
        try:
            found[board.host] = prepare(board.device)
        except DeviceLost as error:
            lost.append(error)
            _log.warning("%s. Board %s is left out for now", str(error).rstrip("."), board.host)
    if not found:
        raise lost[0]
    machines: dict[str, str] = {}
    for host, one in found.items():
        if (machine := one.identity.get("machine")) and (twin := machines.setdefault(machine, host)) != host:
            _log.warning(
                "boards %s and %s have the same /etc/machine-id: if that is one board, list it once; if a card was "
                "copied, nothing is wrong", twin, host,
            )  # fmt: skip
    (first, standard), *others = ((host, {**one.identity, "machine": None}) for host, one in found.items())
    for host, identity in others:
        if unlike := of_another_kind(identity, first, standard):
            raise FoxnasError(f"device {rack.boards[0].device.name}: board {host} {unlike}")
    return found
