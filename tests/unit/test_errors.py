"""Errors: whole after a journey between processes, and told in other words."""

import copy
import pickle

import pytest

from impactflow import errors
from impactflow.errors import Forbidden, ImpactError, ProviderError, RateLimited

WHO = {"provider": "cnaught", "operation": "cancel_order", "status": 403, "request_id": "r-1"}


def family(kind: type[ImpactError]) -> list[type[ImpactError]]:
    """The kind and all that derive from it."""
    return [kind, *(each for child in kind.__subclasses__() for each in family(child))]


def an(kind: type[ImpactError]) -> ImpactError:
    """One of that kind."""
    if issubclass(kind, RateLimited):
        return kind("no", **WHO, retry_after_s=7.0)
    return kind("no", **WHO) if issubclass(kind, ProviderError) else kind("no")


@pytest.mark.parametrize("travel", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", [kind for kind in family(ImpactError) if kind.__module__ == errors.__name__])
def test_an_error_travels_whole(kind, travel):
    """As where a task's result is kept, or a process hands it to another."""
    error = an(kind)
    arrived = travel(error)
    expected = type(error), str(error), error.args, vars(error)
    assert expected == (type(arrived), str(arrived), arrived.args, vars(arrived))


def test_an_error_in_other_words_keeps_all_else():
    """The first one stays as it was."""
    error = Forbidden("no", **WHO)
    reworded = error.with_message("not now")
    assert (Forbidden, "cnaught cancel_order (HTTP 403): not now", ("not now",)) == (
        type(reworded),
        str(reworded),
        reworded.args,
    )
    assert vars(error) | {"message": "not now"} == vars(reworded)
    assert ("no", ("no",)) == (error.message, error.args)
