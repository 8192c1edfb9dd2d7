"""No text that cannot be written comes as far as a request, whatever it is given for."""

from inspect import signature
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient, WickedReportsClient
from impactflow.clients.operations import operations
from impactflow.errors import Refused

CLIENTS = (WickedReportsClient, OneClickImpactClient, CNaughtClient, ImpactAPIClient)
#: The secret of a session has a check of its own.
OWN_WORDS = {"session_secret"}


def takes_text(annotation: Any) -> bool:
    """Whether an argument of this type may be a text of any kind, by itself and not within something."""
    if get_origin(annotation) is Annotated:
        return takes_text(get_args(annotation)[0])
    is_union = get_origin(annotation) in {Union, UnionType}
    return annotation is str or (is_union and any(map(takes_text, get_args(annotation))))


TEXTS = [
    pytest.param(client, name, parameter.name, id=f"{client.__name__}.{name}-{parameter.name}")
    for client in CLIENTS
    for name in operations(client)
    for parameter in signature(getattr(client, name)).parameters.values()
    if takes_text(parameter.annotation)
    if parameter.name not in OWN_WORDS
]


@pytest.mark.parametrize(("client", "operation", "argument"), TEXTS)
def test_half_a_surrogate_pair_is_refused_by_name(client, operation, argument):
    """It has no bytes: a URL or a header with it cannot be built."""
    opened = client("https://a.example", "k", transport=None, timeout_s=20)
    with pytest.raises(Refused, match=f"{argument}: Input should be a valid string"):
        getattr(opened, operation)(**{argument: "\ud800"})


def test_texts_were_found():
    """In every client."""
    assert set(CLIENTS) == {found.values[0] for found in TEXTS}
