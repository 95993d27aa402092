"""The entry point: commands, and what becomes of errors."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

import cyclopts
from cyclopts import App, Parameter

from veriscale.cli import (
    calibrate_command,
    degrade_command,
    evaluate_command,
    priors_command,
    restore_command,
    train_command,
)
from veriscale.cli.console import complain
from veriscale.cli.streams import words
from veriscale.errors import FLAGS, InputError

app = App(
    name="veriscale",
    help="Restore photographs with diffusion priors, anywhere between faithful and vivid.",
    help_format="plaintext",
    version_flags=["--version"],
    default_parameter=Parameter(json_list=False),  # [a].png is a name and not JSON
    suppress_keyboard_interrupt=False,  # what becomes of it is said below
)
app.command(restore_command.restore)
app.command(degrade_command.degrade)
app.command(evaluate_command.evaluate)
app.command(calibrate_command.calibrate)
app.command(train_command.train)
app.command(priors_command.priors)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 our fault, 2 the user's input, 130 interrupted."""
    interrupted = False

    def interrupt(signum: int, frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    # A library that is being imported may turn the interrupt into an error of its own: the flag remembers it.
    signal.signal(signal.SIGINT, interrupt)
    code = run(sys.argv[1:] if arguments is None else arguments, lambda: interrupted)
    sys.exit(code)


def run(arguments: Sequence[str], interrupted: Callable[[], bool] = lambda: False) -> int:
    """Run a command; returns its exit code. `interrupted` tells whether the user has asked to stop."""
    token = FLAGS.set(True)
    try:
        return _run(arguments, interrupted)
    finally:
        FLAGS.reset(token)


def _run(arguments: Sequence[str], interrupted: Callable[[], bool]) -> int:
    try:
        code = app(words(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except InputError as error:
        complain(str(error))
        return 2
    except cyclopts.CycloptsError as error:
        complain(f"{str(error).strip()} See veriscale --help.")
        return 2
    except KeyboardInterrupt as error:
        complain(str(error) or "Interrupted.")
        return 130
    except MemoryError:
        complain("The memory of this machine does not suffice; restore a part with --crop, or ask for fewer --samples.")
        return 2
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # whoever read us has gone; nothing more can be said
        return 0
    except Exception:
        if interrupted():
            complain("Interrupted.")
            return 130
        traceback.print_exc()
        complain("This is a fault of Veriscale, not yours; please report it with the lines above.")
        return 1
    return code if isinstance(code, int) else 0
