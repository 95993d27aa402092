"""Every setting is an option of the commands it is for, and of no other."""

import re
from dataclasses import fields

import pytest

from veriscale.settings import ALL, Settings


@pytest.fixture
def options(veriscale, monkeypatch):
    """The options that a command's help lists."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(command):
        code, out, _ = veriscale(command, "--help")
        assert code == 0
        return set(re.findall(r"^[│ *]*(--[a-z0-9-]+)", out, flags=re.MULTILINE))

    return call


def flag(name):
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize("command", ALL)
def test_help_lists_the_settings_of_a_command(options, command):
    found = options(command)
    assert {flag(f.name) for f in fields(Settings) if command in f.metadata["commands"]} <= found
    assert not {flag(f.name) for f in fields(Settings) if command not in f.metadata["commands"]} & found


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_an_option_of_another_command_is_refused(refused, tmp_path, command):
    others = [f.name for f in fields(Settings) if command not in f.metadata["commands"]]
    assert others
    for name in others:
        assert f"Unknown option: {flag(name)}." in refused(command, tmp_path, flag(name), "1", "-o", tmp_path / "o")


@pytest.mark.parametrize("command", ["degrade", "priors", "train"])
def test_commands_that_restore_nothing_have_no_dial(options, command):
    assert not {"--dial", "--alpha", "--certificate"} & options(command)
