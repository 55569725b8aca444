"""On which line of a TOML file a key stands, so that an error can name it.

The standard library's parser gives values without places. This scanner follows a text that the
parser has already accepted, so it need not judge, only keep count.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

__all__ = ["KeyPath", "TomlLines"]

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class TomlLines:
    r"""The lines of a TOML text's keys.

    Parameters
    ----------
    of
        Line number, from 1, of each path of keys; the n-th table of an array of tables has the
        whole number n (from 0) in its path, and so has the n-th value of an array.

    Examples
    --------
    >>> lines = TomlLines.read('name = "x"\n\n[[release]]\nk = 5\n')
    >>> lines.line(("release", 0, "k")), lines.line(("release", 0, "rows"))
    (4, 3)
    """

    of: dict[KeyPath, int]

    @classmethod
    def read(cls, text: str) -> TomlLines:
        """Return the lines of a valid TOML text."""
        return cls(_Scanner(text).scan())

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a path, or of the nearest part of it that is in the text."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.of:
                return self.of[path[:length]]
        return None

    def find(self, section: KeyPath, path: KeyPath) -> int | None:
        """Return the line of ``path`` in a section, also where keys stand between the two.

        Settings in settings know only their own part of the path; the first place in the section
        whose path ends with it is taken, and the section's own line if there is none.
        """
        exact = section + path
        if exact in self.of or not path:
            return self.line(exact)
        for known, line in self.of.items():
            if known[: len(section)] == section and known[len(known) - len(path) :] == path:
                return line
        return self.line(exact)


class _Scanner:
    """One walk over a text."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.row = 1
        self.lines: dict[KeyPath, int] = {}
        self.tables: dict[KeyPath, int] = {}  # how many tables each array of tables has so far

    def scan(self) -> dict[KeyPath, int]:
        section: KeyPath = ()
        while self._to_token():
            if self.text.startswith("[[", self.at):
                section = self._header(2, array=True)
            elif self.text[self.at] == "[":
                section = self._header(1, array=False)
            else:
                self._pair(section)
        return self.lines

    def _header(self, brackets: int, *, array: bool) -> KeyPath:
        row = self.row
        self._step(brackets)
        keys = self._keys()
        self._step(brackets)
        path: KeyPath = ()
        for position, key in enumerate(keys, 1):
            path += (key,)
            self.lines.setdefault(path, row)
            if array and position == len(keys):
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:
                path += (self.tables[path] - 1,)
                self.lines.setdefault(path, row)
        return path

    def _pair(self, section: KeyPath) -> None:
        row = self.row
        path = section
        for key in self._keys():
            path += (key,)
            self.lines.setdefault(path, row)
        self._step(1)  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._to_token()
        opening = self.text[self.at]
        if opening in "\"'":
            self._string()
        elif opening == "[":
            self._items(path, "]")
        elif opening == "{":
            self._items(path, "}")
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _items(self, path: KeyPath, closing: str) -> None:
        self._step(1)
        position = 0
        while self._to_token() and self.text[self.at] != closing:
            if self.text[self.at] == ",":
                self._step(1)
                position += 1
            elif closing == "}":
                self._pair(path)
            else:
                self.lines.setdefault((*path, position), self.row)
                self._value((*path, position))
        self._step(1)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._to_token()
            start = self.at
            if self.text[start] in "\"'":
                self._string()
                keys.append(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
            else:
                while self.text[self.at].isalnum() or self.text[self.at] in "-_":
                    self.at += 1
                keys.append(self.text[start : self.at])
            self._to_token()
            if self.text[self.at] != ".":
                return keys
            self._step(1)

    def _string(self) -> None:
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        mark = quote * (3 if long else 1)
        self._step(len(mark))
        while not self.text.startswith(mark, self.at):
            # A backslash escapes the next character in a basic string only.
            self._step(2 if quote == '"' and self.text[self.at] == "\\" else 1)
        self._step(len(mark))
        while long and self.text.startswith(quote, self.at):  # up to two quotes may end the text
            self._step(1)

    def _to_token(self) -> bool:
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif character in " \t\n\ufeff":
                self._step(1)
            else:
                return True
        return False

    def _step(self, characters: int) -> None:
        self.row += self.text.count("\n", self.at, self.at + characters)
        self.at += characters
