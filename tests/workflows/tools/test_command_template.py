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
        ("python x.py {in} {out} {scale}", r"holds \{scale\}; known: \{in\}, \{out\}, and \{\{ or \}\}"),
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
