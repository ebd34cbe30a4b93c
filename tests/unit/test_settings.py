"""The configuration tree."""

from datetime import timedelta

import pytest

from server import settings
from server.settings import ConfigurationError

SIMULATOR = {
    "ROOST_SIMULATOR__PROXY_URL": "http://127.0.0.1:4000",
    "ROOST_SIMULATOR__CA_FILE": "/tmp/ca.pem",
    "ROOST_SIMULATOR__ROOT_KEY": "ab" * 32,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Only what a test sets."""
    for name in [*settings.names(), *settings.FOREIGN]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def problems(**overrides):
    with pytest.raises(ConfigurationError) as error:
        settings.load(**overrides)
    return error.value.problems


def test_nothing_set_serves_on_loopback():
    """The defaults work."""
    loaded = settings.load()
    assert loaded.listen == "127.0.0.1:50051"
    assert loaded.data_dir.is_absolute()
    assert loaded.events.retention == timedelta(days=7)
    assert not loaded.tls.is_on
    assert not loaded.simulator.is_on


def test_the_command_line_wins_over_the_environment(environment):
    """And an option that was not given does not."""
    environment.setenv("ROOST_LISTEN", "127.0.0.1:1")
    environment.setenv("ROOST_LOG__LEVEL", "DEBUG")
    loaded = settings.load(listen="127.0.0.1:2", data_dir=None)
    assert loaded.listen == "127.0.0.1:2"
    assert loaded.log.level == "DEBUG"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("ROOST_LISTN", "ROOST_LISTEN"), ("ROOST_TLS__CERT", "ROOST_TLS__CERT_FILE")],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(environment, wrong, right):
    """A misspelt setting must not be silent."""
    environment.setenv(wrong, "planted-secret")
    assert problems() == [f"{wrong}: no such setting; did you mean {right}?"]


def test_variables_of_the_other_programs_are_left_alone(environment):
    """The set-up script's and the client's variables do not fail the server."""
    environment.setenv("ROOST_PYTHON", "/usr/bin/python3")
    settings.load()


def test_an_empty_variable_is_as_none():
    """Compose files set variables to nothing."""
    pytest.MonkeyPatch().setenv("ROOST_ADMIN_KEY_FILE", "")
    assert settings.load().admin_key_file is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROOST_LISTEN", "nowhere"),
        ("ROOST_LISTEN", "127.0.0.1:70000"),
        ("ROOST_LOG__LEVEL", "LOUD"),
        ("ROOST_EVENTS__RETENTION", "-1"),
        ("ROOST_EVENTS__MAX_BYTES", "much"),
        ("ROOST_BACKUP__LOCATIONS", '{"Bad Id": "file:///x"}'),
        ("ROOST_BACKUP__LOCATIONS", '{"a": "no-url"}'),
        ("ROOST_BACKUP__LOCATIONS", "{broken"),
        ("ROOST_BACKUP__EXTERNAL_KEY", "kms --key planted"),
        ("ROOST_BACKUP__EXTERNAL_KEY", '["kms", ""]'),
        ("ROOST_TLS__CERT_FILE", "/cert.pem"),
        ("ROOST_TLS__CLIENT_CA_FILE", "/ca.pem"),
    ],
)
def test_a_bad_value_names_its_variable_and_is_not_repeated(environment, name, value):
    """The value might be a secret in the wrong place."""
    environment.setenv(name, value)
    (problem,) = problems()
    assert problem.startswith(name.partition("__")[0])
    assert value not in problem


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "example.org:1", "10.0.0.1:1"])
def test_the_network_needs_tls_or_a_plain_word(environment, listen):
    """Keys and messages do not cross the network in clear by accident."""
    assert "ROOST_INSECURE" in problems(listen=listen)[0]
    assert settings.load(listen=listen, insecure=True).insecure
    environment.setenv("ROOST_TLS__CERT_FILE", "/cert.pem")
    environment.setenv("ROOST_TLS__KEY_FILE", "/key.pem")
    assert settings.load(listen=listen).tls.is_on


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:1", "[::1]:1", "127.9.9.9:1"])
def test_loopback_needs_nothing(listen):
    """All of these stay on the machine."""
    assert settings.load(listen=listen).listen == listen


def test_the_simulator_is_three_settings_or_none(environment):
    """A half-set simulator must not reach WhatsApp."""
    for missing in SIMULATOR:
        for name, value in SIMULATOR.items():
            environment.setenv(name, value)
        environment.delenv(missing)
        assert "all three or none" in problems()[0]
    for name, value in SIMULATOR.items():
        environment.setenv(name, value)
    assert settings.load().simulator.is_on


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROOST_SIMULATOR__PROXY_URL", "http://10.0.0.1:4000"),
        ("ROOST_SIMULATOR__PROXY_URL", "http://example.org:4000"),
        ("ROOST_SIMULATOR__PROXY_URL", "socks5://127.0.0.1:4000"),
        ("ROOST_SIMULATOR__ROOT_KEY", "ab"),
    ],
)
def test_the_simulator_is_on_loopback_with_a_whole_key(environment, name, value):
    """Nothing may leave the machine."""
    for each, good in SIMULATOR.items():
        environment.setenv(each, good)
    environment.setenv(name, value)
    assert problems()[0].startswith("ROOST_SIMULATOR: ")


def test_master_keys_beside_the_file(environment):
    """A program is a JSON list; a passphrase stands in one place and is no short word."""
    environment.setenv("ROOST_BACKUP__EXTERNAL_KEY", '["/bin/kms", "--key", "alias/roost"]')
    environment.setenv("ROOST_BACKUP__PASSPHRASE", "correct horse battery")
    loaded = settings.load().backup
    assert loaded.external_key == ("/bin/kms", "--key", "alias/roost")
    environment.setenv("ROOST_BACKUP__PASSPHRASE_FILE", "/secret/words")
    assert "set one of them" in problems()[0]
    environment.delenv("ROOST_BACKUP__PASSPHRASE_FILE")
    environment.setenv("ROOST_BACKUP__PASSPHRASE", "pencil")
    assert "12 characters" in problems()[0]
    assert "pencil" not in problems()[0]


def test_settings_cannot_be_changed():
    """One tree, read once."""
    loaded = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        loaded.listen = "x"


def test_the_printed_tree_masks_every_secret(environment):
    """What is printed can go into a bug report."""
    for name, value in SIMULATOR.items():
        environment.setenv(name, value)
    environment.setenv("ROOST_DATABASE_URL", "postgresql://ann:planted@db/roost?sslkey=planted")
    environment.setenv(
        "ROOST_BACKUP__LOCATIONS", '{"a": "s3://key:planted@bucket/x?token=planted"}'
    )
    environment.setenv("ROOST_BACKUP__PASSPHRASE", "planted passphrase")
    environment.setenv("ROOST_BACKUP__EXTERNAL_KEY", '["kms", "a b"]')
    text = "\n".join(settings.masked(settings.load()))
    assert 'ROOST_BACKUP__EXTERNAL_KEY=["kms", "a b"]' in text
    assert "planted" not in text
    assert "ab" * 32 not in text
    assert "ROOST_DATABASE_URL=postgresql://***@db/roost?***" in text
    assert "ROOST_BACKUP__LOCATIONS=a=s3://***@bucket/x?***" in text
    assert len(text.splitlines()) == len(settings.names())


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("0.5", 0.5), ("PT1M", 60), ("P7D", 604800), ("00:01:00", 60)]
)
def test_a_time_is_seconds_or_iso_8601(environment, text, seconds):
    """As the documentation says."""
    environment.setenv("ROOST_DRAIN_GRACE", text)
    environment.setenv("ROOST_BACKUP__DEBOUNCE", text)
    loaded = settings.load()
    assert loaded.drain_grace == loaded.backup.debounce == timedelta(seconds=seconds)


def test_a_policy_that_keeps_nothing_is_refused(environment):
    """It would be a way to lose everything with one misunderstanding."""
    for rule in ("KEEP_WITHIN", "KEEP_LAST", "HOURLY", "DAILY", "WEEKLY", "MONTHLY"):
        environment.setenv(f"ROOST_BACKUP__{rule}", "0")
    assert "all are 0" in problems()[0]
    environment.setenv("ROOST_BACKUP__KEEP_LAST", "1")
    assert settings.load().backup.keep_last == 1
