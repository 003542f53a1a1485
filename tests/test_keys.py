"""Secrets that show themselves to nobody, and where keys are looked for."""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import pickle
import re
import sys
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream import keys
from tickstream.errors import ConfigError, ExitCode
from tickstream.keys import FoundKey, KeySettings, Secret, find_key

CANARY = 'tk_c4n/ary+k"ey=é'
ENV = "TICKATLAS_API_KEY"


def private(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def find(env: dict[str, str] | None = None, **sources: object) -> FoundKey | None:
    return find_key("tickatlas", ENV, env=env or {}, **sources)  # type: ignore[arg-type]


def found(env: dict[str, str] | None = None, **sources: object) -> FoundKey:
    key = find(env, **sources)
    assert key is not None
    return key


class TestSecret:
    @pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r:>3}".format, lambda key: f"{key:s}"])
    def test_shows_stars_instead_of_itself(self, shown):
        assert shown(Secret(CANARY)) == "***"

    def test_only_reveal_gives_the_value(self):
        assert Secret(CANARY).reveal() == CANARY

    def test_cannot_be_empty(self):
        with pytest.raises(ValueError, match="empty"):
            Secret("")

    def test_cannot_be_pickled(self):
        with pytest.raises(TypeError):
            pickle.dumps(Secret(CANARY))

    def test_cannot_be_written_as_json(self):
        with pytest.raises(TypeError):
            json.dumps({"key": Secret(CANARY)})
        with pytest.raises(TypeError):
            msgspec.json.encode({"key": Secret(CANARY)})

    def test_copies_are_the_secret_itself(self):
        secret = Secret(CANARY)
        assert copy.copy(secret) is secret
        assert copy.deepcopy([secret])[0] is secret

    def test_equal_secrets_are_equal_and_hash_alike(self):
        assert Secret(CANARY) == Secret(CANARY)
        assert Secret(CANARY) != Secret("another")
        assert Secret(CANARY) != CANARY
        assert len({Secret(CANARY), Secret(CANARY), Secret("another")}) == 2

    def test_equality_holds_for_bytes_that_are_no_utf8(self):
        value = b"tk_\xff\xfe".decode("utf-8", "surrogateescape")
        assert Secret(value) == Secret(value)

    @pytest.mark.parametrize(
        "form",
        [
            CANARY,
            quote(CANARY, safe=""),
            quote(CANARY),
            quote_plus(CANARY),
            "tk_c4n%2fary%2bk%22ey%3d%c3%a9",
            json.dumps(CANARY)[1:-1],
            json.dumps(CANARY, ensure_ascii=False)[1:-1],
            json.dumps(CANARY)[1:-1].replace("/", "\\/"),
            base64.b64encode(CANARY.encode()).decode(),
            base64.urlsafe_b64encode(CANARY.encode()).decode(),
            base64.b64encode(CANARY.encode()).decode().rstrip("="),
        ],
    )
    def test_is_redacted_in_every_form(self, form):
        secret = Secret(CANARY)
        assert secret.redact(f"a {form} b {form}") == "a *** b ***"
        assert secret.redact_bytes(f"a {form} b".encode()) == b"a *** b"

    @given(st.binary(max_size=7), st.binary(max_size=7))
    def test_is_redacted_inside_a_longer_base64_text(self, before, after):
        key = "tk_0123456789abcdef"
        text = base64.b64encode(before + key.encode() + after).decode()
        redacted = Secret(key).redact(text)
        assert "***" in redacted
        # What is left of the key are at most the characters at its ends, which it shares with its neighbours.
        assert len(redacted) <= len(text) - len(base64.b64encode(key.encode()).rstrip(b"=")) + 3 + 4

    @given(st.text(min_size=4, max_size=30).filter(str.isprintable), st.text(max_size=20), st.text(max_size=20))
    def test_is_never_left_in_a_text(self, key, before, after):
        redacted = Secret(key).redact(before + key + after)
        assert "***" in redacted
        assert key not in redacted or key in "***" or key in before + "***" + after

    def test_a_key_of_three_characters_is_left_in_the_text(self):
        assert Secret("abc").redact("abcabc") == "abcabc"
        assert Secret("abc").redact_bytes(b"abcabc") == b"abcabc"

    @pytest.mark.parametrize("first", [json.dumps, repr])
    @pytest.mark.parametrize("then", [json.dumps, repr, str])
    @pytest.mark.parametrize("key", ["tk_\\x", 'say "hi"', "it's/so", "\\\"'/\\"])
    def test_is_redacted_however_often_it_was_escaped(self, first, then, key):
        secret = Secret(key)
        text = then([first(f"<{key}>")])
        assert re.sub(r"[\[\]'\"\\]", "", secret.redact(text)) == "<***>"
        assert re.sub(rb"[\[\]'\"\\]", b"", secret.redact_bytes(text.encode())) == b"<***>"

    def test_text_without_the_key_is_unchanged(self):
        assert Secret(CANARY).redact("EURUSD 1.08430 \x1b[0m") == "EURUSD 1.08430 \x1b[0m"

    def test_redacts_as_often_as_asked(self):
        secret = Secret(CANARY)
        assert [secret.redact(CANARY) for _ in range(2)] == ["***"] * 2
        assert [secret.redact_bytes(CANARY.encode()) for _ in range(2)] == [b"***"] * 2

    def test_a_redactor_takes_out_all_of_several_secrets(self):
        redact = Secret.redactor([Secret("first-key"), Secret("second-key"), Secret("ab")])
        assert redact("first-key and second-key, ab") == "*** and ***, ab"

    def test_a_redactor_of_no_secrets_changes_nothing(self):
        assert Secret.redactor([])("anything") == "anything"

    def test_the_longer_of_two_overlapping_secrets_leaves_no_remainder(self):
        assert Secret.redactor([Secret("tk_a"), Secret("tk_abcdef")])("tk_abcdef") == "***"


class TestFindKey:
    def test_nothing_anywhere_is_no_key(self):
        assert find() is None
        assert find_key("demo", None, env={ENV: CANARY}) is None

    def test_the_key_file_comes_before_all_others(self, tmp_path):
        path = private(tmp_path / "key", "from-file\n")
        settings = KeySettings(tmp_path, Secret("from-config"), (sys.executable, "-c", "print('from-command')"))
        key = found({ENV: "from-env"}, key_file=path, key_stdin=io.BytesIO(b"from-stdin"), settings=settings)
        assert key == (Secret("from-file"), f"--key-file {path}")

    def test_stdin_comes_before_the_environment(self):
        key = found({ENV: "from-env"}, key_stdin=io.BytesIO(b"  from-stdin \nEURUSD\n"))
        assert key == (Secret("from-stdin"), "--key-stdin")

    def test_of_stdin_one_line_is_read_and_the_rest_is_left(self):
        stream = io.BytesIO(b"from-stdin\nEURUSD\n")
        found(key_stdin=stream)
        assert stream.read() == b"EURUSD\n"

    def test_the_environment_comes_before_the_config_file(self):
        settings = KeySettings(Path("c.toml"), Secret("from-config"))
        assert found({ENV: " from-env\n"}, settings=settings) == (Secret("from-env"), f"environment {ENV}")

    def test_an_empty_environment_variable_counts_as_unset(self):
        key = found({ENV: ""}, settings=KeySettings(Path("c.toml"), Secret("from-config")))
        assert key == (Secret("from-config"), "c.toml")

    def test_the_key_command_comes_before_the_files_own_key(self):
        command = (sys.executable, "-c", "print('from-command')")
        key = found(settings=KeySettings(Path("c.toml"), Secret("from-config"), command))
        assert key == (Secret("from-command"), "key_command of tickatlas in c.toml")

    def test_a_found_key_is_redacted_from_all_that_is_said(self):
        found({ENV: "tk_found_and_known"})
        assert keys.redact_found("key=tk_found_and_known!") == "key=***!"


class TestUnusableKeys:
    def refused(self, env: dict[str, str] | None = None, **sources: object) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            find(env, **sources)
        assert caught.value.exit_code is ExitCode.CONFIG
        assert "canary" not in str(caught.value)
        return caught.value

    @pytest.mark.parametrize("value", ["  ", "\n"])
    def test_white_space_is_no_key(self, value):
        assert "it is empty" in str(self.refused({ENV: value}))

    @pytest.mark.parametrize("value", ["canary\x00", "canary\x1b[31m", "canary\nsecond", "canary\x7f", "canary\u202e"])
    def test_control_characters_are_refused(self, value):
        assert "control characters" in str(self.refused({ENV: value}))

    def test_bytes_that_are_no_utf8_are_refused(self, tmp_path):
        assert "UTF-8" in str(self.refused(key_stdin=io.BytesIO(b"canary\xff\n")))
        assert "UTF-8" in str(self.refused(key_file=private(tmp_path / "k", b"canary\xff")))

    def test_a_key_of_thousands_of_characters_is_refused(self, tmp_path):
        assert "longer than" in str(self.refused({ENV: "canary" * 1000}))
        assert "longer than" in str(self.refused(key_stdin=io.BytesIO(b"canary" * 1000)))
        assert "longer than" in str(self.refused(key_file=private(tmp_path / "k", "canary" * 1000)))

    def test_a_key_file_that_is_missing_is_an_error_that_names_it(self, tmp_path):
        assert "No such file" in str(self.refused({ENV: "x"}, key_file=tmp_path / "none"))
        self.refused(key_file=Path("nul\0"))

    def test_an_empty_key_file_is_an_error_though_the_environment_has_a_key(self, tmp_path):
        self.refused({ENV: "usable"}, key_file=private(tmp_path / "k", "\n"))

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620, 0o601])
    def test_a_key_file_that_others_can_read_is_refused_with_the_cure(self, tmp_path, mode):
        path = private(tmp_path / "key", "canary")
        path.chmod(mode)
        error = self.refused(key_file=path)
        assert error.hint == f"Run: chmod 600 {path}"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_key_file_of_somebody_else_is_refused(self, tmp_path):
        path = private(tmp_path / "key", "canary")
        os.chown(path, 12345, -1)
        assert "belongs to somebody else" in str(self.refused(key_file=path))


class TestKeyCommand:
    def run(self, *command: str, env: dict[str, str] | None = None) -> FoundKey:
        return found(env, settings=KeySettings(Path("c.toml"), None, command))

    def python(self, code: str, env: dict[str, str] | None = None) -> FoundKey:
        return self.run(sys.executable, "-c", code, env=env)

    def test_only_the_first_line_is_the_key(self):
        assert self.python("print('\\ntk_line\\nuser: me')").key == Secret("tk_line")

    def test_no_shell_sees_the_words(self):
        assert self.run("printf", "%s", "$HOME;`id`").key == Secret("$HOME;`id`")

    def test_its_environment_lacks_the_key_variable(self):
        env = {ENV: "", "PATH": os.environ["PATH"], "OTHER": "there"}
        assert self.python(f"import os; print(os.environ.get({ENV!r}), os.environ['OTHER'])", env).key == Secret(
            "None there"
        )

    def test_stdin_is_not_its_own(self):
        assert self.python("import sys; print(repr(sys.stdin.read()))").key == Secret("''")

    def test_a_failure_is_told_without_what_it_printed(self):
        with pytest.raises(ConfigError, match="exit status 3") as caught:
            self.python("import sys; print('canary'); sys.stderr.write('canary'); sys.exit(3)")
        assert "canary" not in str(caught.value)

    def test_what_it_says_on_stderr_is_not_shown(self, capfd):
        self.python("import sys; sys.stderr.write('canary'); print('tk_x')")
        assert capfd.readouterr().err == ""

    def test_a_command_that_does_not_exist_is_named(self):
        with pytest.raises(ConfigError, match="'no-such-command' cannot be run: No such file"):
            self.run("no-such-command", "canary")

    def test_endless_output_is_cut_short(self):
        begun = time.monotonic()
        with pytest.raises(ConfigError, match="more than a key"):
            self.python("while True: print('canary' * 100)")
        assert time.monotonic() - begun < 10

    def test_a_command_that_hangs_is_ended(self, monkeypatch):
        monkeypatch.setattr(keys, "COMMAND_TIMEOUT_S", 0.2)
        with pytest.raises(ConfigError, match=r"no key within 0\.2 s"):
            self.run("sleep", "600")

    def test_a_command_that_closes_its_output_and_goes_on_is_ended(self, monkeypatch):
        monkeypatch.setattr(keys, "COMMAND_TIMEOUT_S", 0.5)
        with pytest.raises(ConfigError, match="does not end"):
            self.run("sh", "-c", "exec >&-; exec sleep 600")

    def test_output_that_is_no_text_is_refused(self):
        with pytest.raises(ConfigError, match="UTF-8"):
            self.python("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')")
