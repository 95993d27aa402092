"""The command line of anybody's tool that turns a picture file into a picture file."""

import hashlib
import os
import re
import shlex
import shutil
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from veriscale.errors import InputError
from veriscale.workflows.tools.secret_words import secret_words

_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
_SHELL = re.compile(r"\d?[|&;<>]+\d?|[\d&]?>.*")  # a whole word; '800x600>' and '<lora:fur>' are no shell's
_EXAMPLE = "'tool {in} {out}'"
_ENV = re.compile(r"\{env:([A-Za-z_]\w*)\}")
_INTERPRETER = re.compile(
    r"(python|pypy|perl|ruby|node|deno|bun|java|Rscript|julia|lua|php|env|uv|(ba|da|z|fi|k)?sh)w?[\d.]*(\.exe)?"
)


@dataclass(frozen=True)
class CommandTemplate:
    """A checked command line of a tool that turns a picture file into a picture file.

    Attributes:
        text: as given; binding in a certificate.
        arguments: the program and its arguments, with the placeholders {in} and {out}, anywhere in a word and as often
            as one likes; {env:NAME} stands for what the environment says when the tool runs, and is written down
            nowhere; {{ and }} stand for a brace itself.
        tool_sha256: of the contents of the program and of every argument, or what follows its first '=', that is a
            file, in their order. What a tool finds on its own (modules, a folder's weights, other programs) is not.
        files: those arguments.
    """

    text: str
    arguments: tuple[str, ...]
    tool_sha256: str
    files: tuple[str, ...]

    def words(self, source: str, target: str) -> list[str]:
        """What is run: the arguments, with the names of the file to read and the file to write in their places."""
        return _filled(self.arguments, {"{in}": source, "{out}": target, **self._environment})

    def hidden(self, said: str) -> str:
        """What a tool said, without what it has from the environment by its command."""
        for placeholder, value in self._environment.items():
            said = said.replace(value, placeholder) if value else said
        return said

    @property
    def _environment(self) -> dict[str, str]:
        return {found[0]: os.environ[found[1]] for word in self.arguments for found in _ENV.finditer(word)}

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the command: an interpreter that is bound in the place of its script; a secret."""
        said = []
        if _INTERPRETER.fullmatch(program := Path(self.arguments[0]).name):
            bound = f"it and {', '.join(self.files)}" if self.files else "it alone, and not what it runs"
            said.append(f"{program} is an interpreter: a certificate binds {bound}.")
        said += [
            f"{name} looks like a secret, and certificates, run.json and logs hold the command: write {{env:NAME}} in "
            "its place, and keep it in the environment."
            for name in secret_words(self.arguments[1:])
        ]
        return tuple(said)


def parse_command(text: str) -> CommandTemplate:
    """Split and check a command line. Words are quoted as in a POSIX shell, but no shell will see them.

    Raises:
        InputError: empty, bad quoting, control characters, a shell's operators, {in} or {out} missing, an unknown
            placeholder, a variable that the environment lacks, a program that is not found or not executable, a file
            of the tool that cannot be read.
    """
    command = f"Command {text!r}"
    odd = next((c for c in text if c != "\t" and unicodedata.category(c) in ("Cc", "Cs")), None)
    if odd is not None:  # a line break ends a command in a shell, and a certificate holds text only
        raise InputError(f"{command} holds {odd!r}, which no command can; write one line of plain text.")
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"{command} is badly quoted ({str(error).lower()}); close the quote, or escape it.") from error
    if not arguments:
        raise InputError(f"The command is empty; write it as in {_EXAMPLE}.")
    for word in filter(_SHELL.fullmatch, arguments):
        raise InputError(f"{command} holds the shell's {word!r}, but no shell runs it; put that into a script.")
    _check_placeholders(command, arguments)
    program, *words = _filled(arguments, {})
    files = tuple(name for word in words if (name := _file(word)))
    return CommandTemplate(text, arguments, _sha256(command, (_program(command, program), *files)), files)


def _check_placeholders(command: str, arguments: Iterable[str]) -> None:
    found = [token for word in arguments for token in _TOKEN.findall(word)]
    for token in found:
        variable = _ENV.fullmatch(token)
        if variable and variable[1] not in os.environ:
            raise InputError(f"{command} wants {variable[1]} of the environment, which has none; export it first.")
        if not variable and token not in ("{in}", "{out}", "{{", "}}"):
            raise InputError(
                f"{command} holds {token}; known: {{in}}, {{out}}, {{env:NAME}}, and {{{{ or }}}} for a brace itself."
            )
    for token, what in (("{in}", "reads"), ("{out}", "writes")):
        if token not in found:
            raise InputError(f"{command} lacks {token} for the file that the tool {what}; write it as in {_EXAMPLE}.")


def _filled(arguments: Iterable[str], values: Mapping[str, str]) -> list[str]:
    names = {**values, "{{": "{", "}}": "}"}
    return [_TOKEN.sub(lambda token: names.get(token[0], token[0]), word) for word in arguments]


def _program(command: str, name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    if os.path.isfile(name) and os.path.dirname(name):
        raise InputError(f"{command}: {name} is not executable; make it so, or name its interpreter first.")
    if os.path.dirname(name):
        raise InputError(f"{command}: {name} is no program; check its path.")
    raise InputError(f"{command}: {name!r} is not found on the PATH; check the name, or give its path as in ./{name}.")


def _file(word: str) -> str | None:
    name = word if os.path.isfile(word) else word.partition("=")[2]
    return name if os.path.isfile(name) else None  # pathlib's would raise for a long prompt


def _sha256(command: str, files: Iterable[str]) -> str:
    whole = hashlib.sha256()
    for name in files:
        try:
            with open(name, "rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise InputError(f"{command}: {name} cannot be read ({error.strerror}); its hash is needed.") from error
    return whole.hexdigest()
