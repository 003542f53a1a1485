"""The throw-away certificate."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from tickstream.errors import ConfigError
from tickstream.simulator import certificate
from tickstream.simulator.certificate import Certificate

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl program")


@needs_openssl
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_it_is_satisfied_even_a_strict_one(name: str) -> None:
    made = Certificate.throw_away()
    context = ssl.create_default_context(cafile=str(made.cert))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=lambda: made.context().wrap_socket(theirs, server_side=True).close())
    server.start()
    with context.wrap_socket(ours, server_hostname=name) as secure:
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
    server.join(10)
    theirs.close()
    made.clean_up()


@needs_openssl
def test_only_its_user_can_read_the_key_and_it_is_removed_afterwards() -> None:
    made = Certificate.throw_away()
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700
    made.clean_up()
    assert not made.key.parent.exists()


def test_without_openssl_the_user_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError) as refused:
        Certificate.throw_away()
    assert "--tls-cert and --tls-key" in str(refused.value)


@pytest.mark.parametrize("script", ["#!/bin/sh\necho nonsense >&2\nexit 1\n", "#!/bin/sh\nexit 1\n", "no program"])
def test_an_openssl_that_fails_is_quoted_and_nothing_stays_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    program = tmp_path / "openssl"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(certificate.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ConfigError, match="openssl made no certificate: "):
        Certificate.throw_away()
    assert [path.name for path in tmp_path.iterdir()] == ["openssl"]


def test_files_that_are_no_certificate_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense")
    with pytest.raises(ConfigError, match="Cannot use the certificate"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem").context()
    Certificate(tmp_path / "cert.pem", tmp_path / "key.pem").clean_up()
    assert (tmp_path / "cert.pem").exists(), "what was given is not removed"
