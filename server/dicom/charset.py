"""Text of every Specific Character Set to Unicode (PS3.5 6.1, PS3.3 C.12.1.1.2).

Written out rather than taken from pydicom, which leaves the escapes of ISO 2022 IR 58 in its text. Three things decide
the shape. With code extension the sets in use fall back to those of value 1 at every delimiter, and a byte 5C, 5E or
3D is a delimiter only where a single-byte set is in use: so delimiters are looked for while decoding. Without code
extension the codecs of Python know which 5C is half of an ideograph, so text is decoded first and split after. And
real files name sets wrongly, or not at all: text is then read as what it most plausibly is, and never refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_SINGLE_BYTE = {
    "6": "ascii",
    "13": "shift_jis",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
}
"""ISO registration number -> codec. Each codec here reads ASCII as ASCII, also the one of JIS X 0201."""

_DOUBLE_BYTE = {"58": "gb18030", "149": "cp949"}
"""Sets in G1; the codecs are supersets, which read what vendors put beyond GB 2312 and KS X 1001."""

_IN_G0 = frozenset({"87", "159"})
"""JIS X 0208 and 0212 come only by escape; until then the text is ASCII."""

_ALONE = {
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "UTF-8": "utf_8",
    "UTF8": "utf_8",
    "GB2312": "gb18030",
    "ISO 2022 GBK": "gb18030",
    "ISO 2022 GB18030": "gb18030",
    "SHIFT_JIS": "shift_jis",
    "WINDOWS-1252": "cp1252",
}
"""Terms without code extension, and wrong ones seen in files."""

_TERM = re.compile(r"ISO[ _-]*(2022)?[ _-]*(?:IR)?[ _-]*([0-9]+)", re.ASCII)

_ESCAPE = re.compile(rb"\x1b(\([BJ]|\)I|-[A-Zb]|\$[@B]|\$\(D|\$\)[AC])")
_DESIGNATES_G1 = {
    b")I": "shift_jis",
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "tis_620",
    b"-b": "iso8859_15",
    b"$)A": "gb18030",
    b"$)C": "cp949",
}
_DOUBLE_IN_G0 = {
    b"$@": (b"\x1b$@", "iso2022_jp"),
    b"$B": (b"\x1b$B", "iso2022_jp"),
    b"$(D": (b"\x1b$(D", "iso2022_jp_2"),
}
_PAIRS = re.compile(rb"(?:[\x21-\x7e]{2})+")
_TEXT_DELIMITER = re.compile(rb"[\\\t\n\f\r]")
_NAME_DELIMITER = re.compile(rb"[\\^=\t\n\f\r]")


@dataclass(frozen=True, slots=True)
class Repertoire:
    """How the text of a data set is read: what its Specific Character Set means."""

    codec: str | None
    """Of text without escapes; `None` where nothing but ASCII was declared."""
    others: tuple[str, ...] = ()
    """Codecs that values 2 and up bring in."""
    alone: bool = False
    """Code extension is not in use, so that 1B is no escape."""
    trouble: str = ""
    """What is wrong with the declaration itself."""

    def decode(self, raw: bytes, *, name: bool = False) -> tuple[str, bool]:
        """The text, and whether that is what its sender declared: nothing replaced, nothing guessed."""
        if b"\x1b" in raw and not self.alone:
            return _Extended(self, raw, name).read()
        if raw.isascii():
            return raw.decode("ascii"), True
        if self.codec is not None:
            return _strictly(raw, self.codec)
        for codec in self.others:
            text, faithful = _strictly(raw, codec)
            if faithful:
                return text, False
        return guess(raw), False


ASCII = Repertoire(None)


def decode(raw: bytes, terms: Sequence[str | None], *, name: bool = False) -> str:
    """Text under a Specific Character Set of these values; `name` where the VR is PN."""
    return repertoire_of(tuple(terms)).decode(raw, name=name)[0]


@lru_cache(maxsize=256)
def repertoire_of(terms: tuple[str | None, ...]) -> Repertoire:
    found = [_codec(term or "") for term in terms] or [("ascii", "")]
    trouble = "; ".join(text for _, text in found if text)
    codecs = [codec for codec, _ in found]
    first = codecs[0] if codecs[0] != "ascii" else None
    others = tuple(dict.fromkeys(codec for codec in codecs[1:] if codec not in (None, "ascii", first)))
    alone = first in ("utf_8", "gb18030") and (terms[0] or "").strip().upper() in _ALONE
    return Repertoire(first, tuple(each for each in others if each), alone, trouble)


def guess(raw: bytes) -> str:
    """Text of no declared set: UTF-8 if it is that, GB 18030 if that gives common ideographs, else Latin-1."""
    for codec, plausible in (("utf_8", None), ("gb18030", _looks_chinese)):
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        if plausible is None or plausible(raw):
            return text
    return raw.decode("latin_1")


def _codec(term: str) -> tuple[str | None, str]:
    """The codec of one term, and what is wrong with the term."""
    term = term.strip(" \0").upper()
    if not term:
        return "ascii", ""
    if term in _ALONE:
        return _ALONE[term], "" if term in ("ISO_IR 192", "GB18030", "GBK") else "misspelt term"
    match = _TERM.fullmatch(term)
    number = match[2] if match else ""
    if match is None or not (number in _SINGLE_BYTE or number in _DOUBLE_BYTE or number in _IN_G0 or number == "192"):
        return None, "unknown term"
    well_spelt = term in (f"ISO_IR {number}", f"ISO 2022 IR {number}")
    codec = _SINGLE_BYTE.get(number) or _DOUBLE_BYTE.get(number) or ("utf_8" if number == "192" else "ascii")
    return codec, "" if well_spelt else "misspelt term"


def _strictly(raw: bytes, codec: str) -> tuple[str, bool]:
    try:
        return raw.decode(codec), True
    except UnicodeDecodeError:
        return raw.decode(codec, "replace"), False


def _looks_chinese(raw: bytes) -> bool:
    """Whether the bytes beyond ASCII are pairs of GB 2312, most of them in its rows of frequent characters."""
    runs = re.findall(rb"[\x80-\xff]+", raw)
    pairs = [run[at : at + 2] for run in runs for at in range(0, len(run), 2)]
    if any(len(pair) < 2 or pair[0] < 0xA1 or pair[1] < 0xA1 for pair in pairs):
        return False
    frequent = [pair for pair in pairs if 0xB0 <= pair[0] <= 0xD7]
    return 2 * len(frequent) > len(pairs)


class _Extended:
    """One value read with code extension (PS3.5 6.1.2.5): which sets are in G0 and G1 changes as it goes."""

    def __init__(self, repertoire: Repertoire, raw: bytes, name: bool) -> None:
        self._raw = raw
        self._first = repertoire.codec
        self._delimiter = _NAME_DELIMITER if name else _TEXT_DELIMITER
        self._double: tuple[bytes, str] | None = None
        self._g1 = self._first
        self._designated: str | None = None
        self._faithful = True

    def read(self) -> tuple[str, bool]:
        return "".join(self._parts()), self._faithful

    def _parts(self) -> Iterator[str]:
        done = 0
        for escape in _ESCAPE.finditer(self._raw):
            yield from self._between(self._raw[done : escape.start()])
            self._designate(escape[1])
            done = escape.end()
        yield from self._between(self._raw[done:])

    def _designate(self, code: bytes) -> None:
        if code in _DESIGNATES_G1:
            self._g1 = self._designated = _DESIGNATES_G1[code]
        else:
            self._double = _DOUBLE_IN_G0.get(code)

    def _between(self, raw: bytes) -> Iterator[str]:
        """What lies between two escapes."""
        while raw and self._double is not None:
            pairs = _PAIRS.match(raw)
            if pairs is None:
                self._double = None
                break
            escape, codec = self._double
            yield self._checked(escape + pairs[0], codec)
            raw = raw[pairs.end() :]
        if raw:
            yield from self._single(raw)

    def _single(self, raw: bytes) -> Iterator[str]:
        done = 0
        for delimiter in self._delimiter.finditer(raw):
            yield self._piece(raw[done : delimiter.start()])
            yield delimiter[0].decode("ascii")
            self._g1 = self._first
            done = delimiter.end()
        yield self._piece(raw[done:])

    def _piece(self, raw: bytes) -> str:
        if raw.isascii():
            if b"\x1b" in raw:
                self._faithful = False
            return raw.replace(b"\x1b", b"").decode("ascii")
        codec = self._g1 or self._designated
        if codec is None:
            self._faithful = False
            return guess(raw)
        return self._checked(raw, codec)

    def _checked(self, raw: bytes, codec: str) -> str:
        text, faithful = _strictly(raw, codec)
        self._faithful &= faithful
        return text
