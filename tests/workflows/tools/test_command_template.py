"""A command line is a program with its two placeholders, or one sentence."""

import shlex
import sys
from pathlib import Path

import pytest

from veriscale.errors import InputError
from veriscale.workflows.tools.command_template import parse_command

PYTHON = shlex.quote(sys.executable)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "is empty"),
        ("  \t ", "is empty"),
        ("python 'x {in} {out}", "badly quoted"),
        ("python {in} {out} \\", "badly quoted"),
        ("python {in}\n{out}", r"holds '\\n'"),
        ("python {in} {out}\0", r"holds '\\x00'"),
        ("python {in} {out} \udce9", r"holds '\\udce9'"),
        ("python x.py {out}", r"lacks \{in\}"),
        ("python x.py {in}", r"lacks \{out\}"),
        ("python x.py {{in}} {out}", r"lacks \{in\}"),
        ("python x.py {in} {out} {scale}", r"holds \{scale\}; known: \{in\}, \{out\}, \{env:NAME\}, and \{\{ or \}\}"),
        ("python x.py {in} {out} {env:}", r"holds \{env:\};"),
        ("python x.py {in} {out} {env:NO_SUCH_ONE}", "wants NO_SUCH_ONE of the environment, which has none; export it"),
        ("python x.py {in} {out} {}", r"holds \{\};"),
        ("python x.py {in} {out} {in!r}", r"holds \{in!r\};"),
        ("python x.py {in} {out} {", r"holds \{;"),
        ("python x.py {in} {out}}", r"holds \};"),
        ("no-such-program-here {in} {out}", "'no-such-program-here' is not found on the PATH"),
        ("./no/such {in} {out}", r"\./no/such is no program; check its path"),
        ("{in} {out}", r"'\{in\}' is not found"),
        ("'' {in} {out}", "'' is not found"),
    ],
)
def test_a_wrong_command_is_one_sentence(text, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        parse_command(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "word", ["|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1", "2>/dev/null", "&>log", ">log"]
)
def test_a_shells_operators_are_refused(word):
    with pytest.raises(InputError, match="no shell runs it; put that into a script"):
        parse_command(f"{PYTHON} x.py {{in}} {{out}} {word} x")


@pytest.mark.parametrize("word", ["'800x600>'", "'<lora:fur:1>'", "'a|b'", "a&b", "'x; y'"])
def test_words_that_only_hold_such_signs_are_the_tools(word):
    assert parse_command(f"{PYTHON} x.py {{in}} {{out}} {word}").arguments[-1] == word.strip("'")


def test_placeholders_stand_anywhere_and_braces_are_doubled():
    template = parse_command(f'{PYTHON} --input={{in}} \'--json={{{{"to": "{{out}}"}}}}\' {{in}}')
    assert template.words("/a {out} b", "/c")[1:] == ["--input=/a {out} b", '--json={"to": "/c"}', "/a {out} b"]


def test_a_program_must_be_executable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tool").write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match=r"\./tool is not executable; make it so, or name its interpreter"):
        parse_command("./tool {in} {out}")
    with pytest.raises(InputError, match=r"'tool' is not found on the PATH.* as in \./tool"):
        parse_command("tool {in} {out}")
    Path("tool").chmod(0o755)
    assert parse_command("./tool {in} {out}").arguments == ("./tool", "{in}", "{out}")


@pytest.mark.parametrize("file", ["./tool", "script.py", "weights.bin", "other.bin"])
def test_another_tool_has_another_hash(file, tmp_path, monkeypatch):
    def parsed():
        return parse_command(
            f"./tool script.py --model=weights.bin other.bin --prompt='{'a long prompt ' * 99}' {{in}} {{out}}"
        )

    monkeypatch.chdir(tmp_path)
    for name in ("tool", "script.py", "weights.bin", "other.bin"):
        Path(name).write_bytes(name.encode())
        Path(name).chmod(0o755)
    before = parsed()
    assert parsed() == before
    Path(file).write_bytes(b"changed")
    assert parsed().text == before.text
    assert parsed().tool_sha256 != before.tool_sha256


def test_the_environment_is_read_when_the_tool_runs(monkeypatch):
    monkeypatch.setenv("PASS", "old")
    template = parse_command(f"{PYTHON} x.py --token={{env:PASS}} {{in}} {{out}} {{{{env:PASS}}}}")
    monkeypatch.setenv("PASS", "{in} hunter2")
    assert template.words("a", "b")[1:] == ["x.py", "--token={in} hunter2", "a", "b", "{env:PASS}"]
    assert "old" not in repr(template)
    assert "hunter2" not in repr(template)
    assert template.hidden("no such token: {in} hunter2!") == "no such token: {env:PASS}!"
    monkeypatch.setenv("PASS", "")
    assert template.hidden("nothing to hide") == "nothing to hide"


@pytest.mark.parametrize(
    "words, said",
    [
        ("-m enlarge", "binds it alone, and not what it runs"),
        ("enlarge.py", "binds it and enlarge.py."),
        ("enlarge.py --model=model.bin", "binds it and enlarge.py, model.bin."),
    ],
)
def test_an_interpreter_is_not_what_it_runs(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("enlarge.py", "model.bin", "upscaler"):
        Path(name).touch(0o755)
    (remark,) = parse_command(f"{PYTHON} {words} {{in}} {{out}}").remarks
    assert remark.startswith("python")
    assert remark.endswith(said) or f"{said}." in remark
    assert parse_command(f"./upscaler {words} {{in}} {{out}}").remarks == ()


@pytest.mark.parametrize(
    "word",
    [
        *("--token=hunter2", "--api-key hunter2", "--hf_token hunter2", "password hunter2", "API_KEY=hunter2"),
        *("-p hunter2", "--password hunter2", "--secret hunter2", "--key hunter2", "--token hunter2", "--key=hunter2"),
        *("--AWS-secret-access-key hunter2", "--pwd hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_said_and_not_repeated(word, tmp_path, monkeypatch):
    monkeypatch.setenv("NAME", "hunter2")
    monkeypatch.chdir(tmp_path)
    Path("tool").touch(0o755)
    (remark,) = parse_command(f"./tool {{in}} {{out}} {word}").remarks
    assert "looks like a secret" in remark
    assert "{env:NAME}" in remark
    assert "hunter2" not in remark
    assert parse_command(f"./tool {{in}} {{out}} {word.replace('hunter2', '{env:NAME}')}").remarks == ()


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ABCDEF0123456789abcdef",
        "sk-proj-abcdefgh-12345678",
        "ghp_0123456789abcdefghij",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-1234567890-abcdef",
        "hf_AbCdEfGhIjKlMnOpQrSt",
        "q7Zx81kQp0LmN4vB7sT2yR9wE3",
        "9f86d081884c7d659a2feaa0c55ad015",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    ],
)
@pytest.mark.parametrize("word", ["{}", "--auth={}", "--auth {}", "--header 'Bearer {}'", "--password {}"])
def test_a_key_is_known_wherever_it_stands(word, secret, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tool").touch(0o755)
    (remark,) = parse_command(f"./tool {{in}} {{out}} {word.format(secret)}").remarks
    assert "looks like a secret" in remark
    assert secret[5:] not in remark


@pytest.mark.parametrize(
    "word",
    [
        *("--tokenizer x", "--max-tokens=5", "--token --fast", "--secret", "'a password' x"),
        *("-p 4", "-p 0.5", "-p fast", "-p {in}", "--key {out}", "-p model.pth", "-p weights/x4plus", "--key sort"),
        *("-p 320x320", "-p there2", "--password there2", "--sort-key size1"),
        *("-n RealESRGAN_x4plus_anime_6B", "-m models/4xNomos8kSCHAT-L.safetensors", "--seed 123456789012345678901234"),
        *("sk-learn-model-of-pictures", "sk-learn-model-2024-weights.onnx", "--prompt='a long prompt of 4 words, 8k'"),
        "./cache/9f86d081884c7d659a2feaa0c55ad015/model",
    ],
)
def test_what_only_sounds_like_one_is_not(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tool").touch(0o755)
    Path("there2").touch()
    assert parse_command(f"./tool {{in}} {{out}} {word}").remarks == ()
