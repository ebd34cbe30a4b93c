"""Storage errors and their translation."""

import inspect

import pytest

from storage_backends import errors
from storage_backends.errors import (
    AccessDenied,
    BackendMisconfigured,
    BackendUnavailable,
    ObjectNotFound,
    StorageError,
    translating,
)


def all_errors():
    return [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, StorageError)
    ]


@pytest.mark.parametrize("error", all_errors())
def test_every_error_explains_itself(error):
    """Backend, key and one sentence: that is the whole text."""
    exc = error(backend="file:/x", key="a/b")
    assert str(exc) == f"file:/x: a/b: {error.__doc__.splitlines()[0]}"
    assert str(error(backend="file:/x")) == f"file:/x: {error.__doc__.splitlines()[0]}"
    assert error.__name__ in errors.__doc__


def test_only_unavailable_is_retryable():
    """What may be repeated is drawn in the module's tree, marked R."""
    for error in all_errors():
        assert error.retryable is issubclass(error, BackendUnavailable)
        assert (f"{error.__name__} (R)" in errors.__doc__) is error.retryable


def test_misconfigured_says_the_problem():
    """The operator reads what is wrong."""
    exc = BackendMisconfigured(backend="s3", problem="no bucket")
    assert str(exc) == "s3: no bucket"


def test_translating():
    """The nearest class of the table wins; a function may look closer; the cause is kept."""
    table = {
        OSError: BackendUnavailable,
        PermissionError: AccessDenied,
        LookupError: lambda exc: ObjectNotFound if exc.args else BackendUnavailable,
    }
    for cause, expected in (
        (PermissionError("password"), AccessDenied),
        (ConnectionResetError("password"), BackendUnavailable),
        (KeyError("password"), ObjectNotFound),
        (IndexError(), BackendUnavailable),
    ):
        with pytest.raises(StorageError) as caught, translating(table, backend="x", key="k"):
            raise cause
        assert type(caught.value) is expected
        assert caught.value.__cause__ is cause
        assert "password" not in f"{caught.value}{caught.value!r}"


def test_translating_leaves_the_rest_alone():
    """Unknown exceptions and our own pass unchanged."""
    for passing in (ZeroDivisionError(), ObjectNotFound(backend="inner", key="k")):
        with pytest.raises(type(passing)) as caught, translating({}, backend="x"):
            raise passing
        assert caught.value is passing
