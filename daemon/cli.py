"""The command: verbs by name, errors with a hint, exit codes. Verbs are imported when they are called."""

import difflib
import errno
import importlib
import io
import json
import os
import sys
from contextlib import suppress
from typing import Any

import click

from store.errors import AccessError, DedupdError, DiskFullError, StateError, UsageError
from store.text import printable

# Small products on many threads cost more in waiting than in work: a second look 25 ms instead of 6 on two busy
# cores (measured). It must be said before numpy is imported; who knows better may set it outside.
for _name in ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")

_VERBS = {
    "scan": "Clean folders once, then exit.",
    "run": "Watch the hot folders for ever (the service, in the foreground).",
    "status": "Show what the service is doing and what is known.",
    "why": "Explain the verdict on a file.",
    "groups": "List groups of duplicates and of similar pictures.",
    "search": "Find the nearest known pictures to an image.",
    "report": "Write the HTML report from what is known.",
    "backup": "Copy the catalog, list copies, or restore one.",
    "rule": "Say what dedupd must believe: not duplicates, keep both, keep this one.",
    "undo": "Take back what was moved or copied.",
    "check": "Check the catalog against the laws, and against the disk.",
    "reindex": "Build previews, embeddings and indexes again.",
    "config": "Check a configuration, or print one to start from.",
    "service": "Start with the system: install, uninstall, status, logs.",
    "doctor": "Look for what keeps dedupd from working here, and name the line to change.",
    "bench": "Measure accuracy and speed on this machine.",
}


class Verbs(click.Group):
    """A group whose commands are modules in `daemon.commands`, imported on demand so that `status` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order of a person's day."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"daemon.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; name the nearest one for a misspelt word."""
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _VERBS, 1)
            hint = f"did you mean `dedupd {near[0]}`?" if near else "`dedupd --help` lists the verbs"
            raise UsageError(f"there is no verb {args[0]!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: dedupd scan ~/Pictures --output ~/cleaned",
)
@click.version_option(package_name="dedupd", prog_name="dedupd")
def cli() -> None:
    """Keep image folders free of junk and duplicates while images arrive.

    Nothing is ever deleted: files move into quarantine only when you ask for it, and `dedupd undo` brings them back.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without UTF-8 shows escapes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    if not words:
        print(cli.get_help(cli.make_context("dedupd", [], resilient_parsing=True)), file=sys.stderr)
        sys.exit(UsageError.exit_code)
    try:
        code = cli.main(words, prog_name="dedupd", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps one that comes during an import
            raise
        sys.exit(130)
    except click.ClickException as error:
        message = error.format_message()
        if isinstance(error, click.MissingParameter):  # it lists what there is to choose from line by line
            message = " ".join(message.split())
        sys.exit(_fail(UsageError(message[:1].lower() + message[1:], _usage_hint(error)), words))
    except DedupdError as error:
        sys.exit(_fail(error, words))
    except BrokenPipeError:
        # The reader left, as `head` does; nothing is wrong, and the flush at the end must not say otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in _OF_SYSTEM:
            raise
        sys.exit(_fail(_of_system(error), words))
    sys.exit(code if isinstance(code, int) else 0)


_OF_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENFILE)


def _of_system(error: OSError) -> DedupdError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StateError("too many open files", "raise the limit: `ulimit -n 1024`, or the service's unit")
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "something it needs"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"no space is left for {name}", "free some, then try again: it goes on where it was")
    return AccessError(f"no permission for {name}: {error.strerror}", "check who owns it, its mode, and its mount")


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context is not None else "see `dedupd --help`"


def _fail(error: DedupdError, words: list[str]) -> int:
    """Tell what went wrong in one line, and the way out in another."""
    message, hint = printable(error.message), printable(error.hint)
    with suppress(OSError):  # where stderr leads may be full; the exit code says it too
        print(f"dedupd: {message}" + (f"\n  hint: {hint}" if hint else ""), file=sys.stderr)
    if "--json" in words:
        answer: dict[str, Any] = {"schema": 1, "error": message, "hint": hint, "exit_code": error.exit_code}
        print(json.dumps(answer))
    return error.exit_code
