"""`sentopic-train`: the offline half, from labelled texts to a bundle."""

import argparse
import logging
import os
import select
import signal
import sys
from collections.abc import Sequence

from app.errors import SentopicError, UsageError
from training.commands import anatomy, baseline, compare, evaluate, fit, next_number, recipes, show, steps

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted, 141 nobody reads what it prints."""
    options = _parser().parse_args(arguments)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except SentopicError as error:
        print(f"sentopic-train: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except ModuleNotFoundError as error:
        needed = "training needs sentopic[train] (in a checkout: make environment)"
        print(f"sentopic-train: {error.name} is not installed; {needed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = {fit.run: "; the same command with --resume goes on", steps.run: "; the same command goes on"}
        hint = goes_on.get(options.run, "")
        print(f"sentopic-train: interrupted{hint}", file=sys.stderr)
        return 130
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _is_left():  # `head` has seen enough
            return 128 + signal.SIGPIPE
        hint = " (a run that had started goes on with --resume)" if options.run is fit.run else ""
        print(f"sentopic-train: {error}{hint}", file=sys.stderr)
        return 1
    return status


def _is_left() -> bool:
    """Whether nobody reads standard output any more; then nothing more is written there."""
    output = sys.stdout.fileno()
    asked = select.poll()
    asked.register(output, 0)
    if left := any(events & (select.POLLERR | select.POLLHUP) for _, events in asked.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # or Python would say so when it ends
    return left


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sentopic-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (fit, steps, next_number, compare, evaluate, anatomy, baseline, show, recipes):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
