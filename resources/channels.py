"""Channels that messages go to: apprise URLs, with secrets from the environment.

Belongs here: sending one message to one channel. Does not belong here: what is worth a message (`assets/incidents.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from kimi_pipeline.digests import digest
from kimi_pipeline.errors import UserError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def name_of(channel: str) -> str:
    """The name under which a channel is remembered: no secret, also where a URL holds one."""
    return digest(channel)[:12]


def with_secrets(channel: str) -> str:
    """The URL with `${NAME}` filled in. Raises UserError where the environment lacks a variable."""
    missing = [name for name in _VARIABLE.findall(channel) if name not in os.environ]
    if missing:
        raise UserError(f"notifications.channels: {channel!r} needs the environment variable {missing[0]}: set it")
    return _VARIABLE.sub(lambda found: os.environ[found[1]], channel)


def send(channel: str, title: str, body: str) -> bool:
    """Whether the channel took the message. Raises UserError for a URL that apprise does not know."""
    import apprise

    sender = apprise.Apprise()
    if not sender.add(with_secrets(channel)):
        scheme = channel.partition(":")[0]
        raise UserError(f"notifications.channels: apprise knows no channel {scheme}://...: see its list of services")
    return bool(sender.notify(title=title, body=body))


def deliver(channels: Sequence[str], taken: Sequence[str], title: str, body: str) -> tuple[list[str], list[str]]:
    """Send to the channels that have not `taken` the message yet: the names of all that have, and what went wrong."""
    names, wrong = list(taken), []
    for channel in channels:
        name = name_of(channel)
        if name in names:
            continue
        try:
            if send(channel, title, body):
                names.append(name)
            else:
                wrong.append(
                    f"channel {channel.partition(':')[0]} ({name}) did not take the message: tried again later"
                )
        except UserError as error:
            wrong.append(str(error))
    return names, wrong
