"""What all tests share."""

import pytest

pytest.register_assert_rewrite("storage_backends.testing")
pytest_plugins = [
    "tests.support.kms",
    "tests.support.postgres",
    "tests.support.s3",
    "tests.support.stores",
]
