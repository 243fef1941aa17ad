"""A page of examples: each says its name, then what it saw.

    page = Page()

    @page.example("what it shows")
    def _():
        return value_to_print

An example that raises is told with a line that begins with `!!`.
"""

import asyncio
import inspect
import traceback


class Page:
    def __init__(self):
        self.examples = []

    def example(self, name):
        def add(function):
            self.examples.append((name, function))
            return function

        return add

    def before(self):
        """Comes before each example."""

    def run(self):
        for name, function in self.examples:
            print(f"## {name}", flush=True)
            self.before()
            try:
                result = asyncio.run(function()) if inspect.iscoroutinefunction(function) else function()
                for line in result if isinstance(result, list) else [result]:
                    print(shown(line), flush=True)
            except Exception as error:
                traceback.print_exc()
                print(f"!! {type(error).__name__}: {error}", flush=True)


def shown(value):
    """A value with sets and dictionaries in one order."""
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(shown, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{shown(key)}: {shown(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(shown, value)) + "]"
    return repr(value)


def error_of(function, *arguments, **options):
    """What a call raises, as text."""
    try:
        return ("no error", function(*arguments, **options))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
