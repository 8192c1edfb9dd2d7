"""
The path on which a provider calls back about one placement: unguessable, because its callbacks carry no signature.

Its token is an HMAC of the placement's key, so nothing has to be stored and no one else can make a token.
"""

import base64
import hashlib
import hmac

#: Below the receiver's base URL.
CALLBACK_PATH = "/webhooks/cnaught/{key}/{token}"


def callback_path(secret: str, key: str) -> str:
    """The path for the placement of this key."""
    return CALLBACK_PATH.format(key=key, token=_token(secret, key))


def is_callback(secret: str, key: str, token: str) -> bool:
    """Whether we made this token for this key; a wrong token takes as long to check as the right one."""
    return hmac.compare_digest(_token(secret, key).encode(), token.encode(errors="replace"))


def _token(secret: str, key: str) -> str:
    digest = hmac.digest(secret.encode(), key.encode(errors="replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
