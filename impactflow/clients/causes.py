"""
The reason why no connection was made, in words: the cause of an aiohttp error, and what a person should check.

Pure. A cause names a host and a variable, never a key or a proxy's password.
"""

import errno
import os
import ssl
from http import HTTPStatus
from typing import NamedTuple

import aiohttp

from impactflow.clients.proxies import Proxies
from impactflow.settings import is_loopback

#: OpenSSL's numbers for a certificate that is not yet, or no longer, valid.
_OUT_OF_TIME = {9, 10}
#: OpenSSL's numbers for a certificate of another host or address.
_OF_ANOTHER = {62, 64}


class Cause(NamedTuple):
    """
    The reason why no connection was made.

    Args:
        why: The reason, in words.
        check: The thing to check besides the provider's URL.
    """

    why: str
    check: str = "the network"


def cause_of(error: Exception, through: Proxies | None) -> Cause:
    """
    Say why no connection was made.

    Args:
        error: The error that aiohttp raised.
        through: The environment's proxies, if the connection was to go through one.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            reason = getattr(error.os_error, "reason", None) or "it ended"
            return Cause(f"TLS failed: {str(reason).replace('_', ' ').lower()}")
    return _direct(error) if through is None else _proxy(error, through)


def _direct(error: Exception) -> Cause:
    check = "the network (HTTPS_PROXY, where it needs a proxy)"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Cause(f"no address is known for {error.host}", check)
        case aiohttp.ClientConnectorError():
            why = f"{error.host}:{error.port}: {_in_words(error)}"
            return Cause(why) if is_loopback(error.host) else Cause(why, check)
    return Cause(_in_words(error), check)


def _certificate(error: Exception) -> Cause:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return Cause(f"the certificate is not accepted: {error}")
    why = f"the certificate is not accepted: {error.verify_message}"
    if error.verify_code in _OUT_OF_TIME:
        return Cause(why, "this machine's clock")
    if error.verify_code in _OF_ANOTHER:
        return Cause(why)
    return Cause(why, "SSL_CERT_FILE (where your network signs certificates itself, it names the authority)")


def _proxy(error: Exception, proxies: Proxies) -> Cause:
    whose = f"the proxy {proxies.place}"
    match error:
        case aiohttp.ClientHttpProxyError():
            answered = f"{whose} answered {_status(error.status)}"
            if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                return Cause(answered, f"the user and the password in {proxies.variable}")
            return Cause(answered, f"{proxies.variable}, NO_PROXY")
        case aiohttp.ClientConnectorDNSError():
            return Cause(f"no address is known for {whose}", proxies.variable)
    return Cause(f"{whose}: {_in_words(error)}", proxies.variable)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _in_words(error: Exception) -> str:
    """Return the system's own words for an error, where it has some."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in errno.errorcode:
        return os.strerror(number).lower()
    match error:
        case TimeoutError():
            return "no connection in time"
        case aiohttp.ServerDisconnectedError():
            return "the connection broke"
    return type(error).__name__
