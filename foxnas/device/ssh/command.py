"""A command as every login shell understands it: one plain line for the shell, the words themselves through stdin.

csh takes a newline for the end of a quotation and an exclamation mark for history, fish takes backslashes for its own;
the line has none of these. /bin/sh reads the words from stdin, byte by byte, so that what follows is the command's.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

#: What the login shell is given. A line that was cut off is not run.
LINE = "/bin/sh -c 'IFS= read -r line && eval \"$line\"'"

#: A newline, which the line itself cannot hold, for the words that do.
_NEWLINE = "n=$(echo; echo x); n=${n%x}; "


def words_line(words: Sequence[str]) -> bytes:
    """Return the line that makes /bin/sh run these words, whatever is in them.

    The shell stays as the parent, because paramiko does not hear which signal ended a command.
    """
    quoted = " ".join('"$n"'.join(map(shlex.quote, word.split("\n"))) for word in words)
    return f'{_NEWLINE}set -- {quoted}; unset n line; "$@"; exit $?\n'.encode()
