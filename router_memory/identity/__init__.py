"""Who is asking: the user that a request is for, verified, and whether an operator is behind it.

    authenticator = Authenticator.of(config)
    caller = authenticator.identify(scope["headers"], peer=scope["client"][0])

`docs/identity.md` says which credentials count, and what stands against each of them.
"""

from router_memory.identity.authenticator import Authenticator
from router_memory.identity.caller import Caller
from router_memory.identity.pages import ForeignPage
from router_memory.identity.wanted import who_is_wanted

__all__ = ["Authenticator", "Caller", "ForeignPage", "who_is_wanted"]
