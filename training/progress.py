"""A bar for one pass over the texts, where somebody watches."""

import sys

import keras


def bar(total: int) -> keras.utils.Progbar:
    shown = sys.stdout.isatty() and keras.config.is_interactive_logging_enabled()
    return keras.utils.Progbar(total, verbose=1 if shown else 0)
