"""Domain errors and the wire's reasons."""

from roost.v1.error_reason_pb2 import ErrorReason

from server.core import errors


def all_errors():
    todo = [errors.DomainError]
    while todo:
        cls = todo.pop()
        todo.extend(cls.__subclasses__())
        if "reason" in cls.__dict__:
            yield cls


def test_every_domain_error_has_a_reason_on_the_wire():
    """A reason that the enum does not know would reach no client."""
    reasons = {cls.reason for cls in all_errors()}
    assert reasons
    assert {f"ERROR_REASON_{reason}" for reason in reasons} <= set(ErrorReason.keys())


def test_every_domain_error_explains_itself():
    """The class's first sentence is the message."""
    for cls in all_errors():
        assert cls.__doc__
        assert cls.__doc__.strip().endswith(".")
