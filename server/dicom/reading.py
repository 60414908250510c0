"""What is known while a data set is read, and what has been found: the part of a walk that is not walking.

Elements of images are mostly the same from one to the next, so what a short element becomes is remembered under its
very bytes: tag, VR, length and value. One memo serves all files of an encoding and a character set, on every thread.
"""

from __future__ import annotations

from server.dicom import charset
from server.dicom.encoding import Encoding, Kind
from server.dicom.instance import BulkValue, Irregularity
from server.dicom.limits import Limits
from server.dicom.stored_json import BULK_PLACE
from server.dicom.values import WIDTHS, Attribute
from server.kernel import problem
from server.kernel.problem import Problem

_MEMO_ELEMENT = 512
"""Longest element remembered."""
_MEMO_ELEMENTS = 8192
_MEMOS = 24
_MOST_IRREGULARITIES = 100
_LONGEST_PATH = 90
"""Characters of an attribute path put into a text."""

Memo = dict[bytes, Attribute]
Dataset = dict[str, Attribute]


class _Memos(dict[tuple[Encoding, charset.Repertoire], Memo]):
    def __missing__(self, key: tuple[Encoding, charset.Repertoire]) -> Memo:
        if len(self) >= _MEMOS:
            self.clear()
        memo: Memo = {}
        self[key] = memo
        return memo


_memos = _Memos()


class Reading:
    """One reading of one data set."""

    def __init__(self, encoding: Encoding, limits: Limits) -> None:
        self.limits = limits
        self.encoding = encoding
        self.repertoire = charset.ASCII
        self.memo = _memos[encoding, charset.ASCII]
        self.bulk: list[BulkValue] = []
        self.irregularities: list[Irregularity] = []
        self.path: list[str] = []
        """`tag/item/` of each item being read."""
        self.open: list[Dataset] = []
        """The data set and the items being read, outermost first."""
        self.tag = ""
        """Of the attribute being read."""
        self.disordered = False
        """Whether tags of the innermost data set were out of order."""
        self._left = limits.elements
        self._steps_left = limits.elements
        self._marks = 0
        """Grows with everything that makes an attribute depend on more than its bytes."""

    @property
    def here(self) -> str:
        """The path of the attribute being read."""
        return "".join(self.path) + self.tag

    def invalid(self, text: str) -> Problem:
        here = self.here
        where = here if len(here) <= _LONGEST_PATH else f"…{here[-_LONGEST_PATH:]}"
        return Problem(problem.Kind.INVALID, f"Cannot understand the data set at {where or 'its start'}: {text}.")

    def irregular(self, text: str) -> None:
        self._marks += 1
        if len(self.irregularities) < _MOST_IRREGULARITIES:
            self.irregularities.append(Irregularity(self.here, text))

    def switch(self, encoding: Encoding, repertoire: charset.Repertoire) -> None:
        if encoding is not self.encoding or repertoire is not self.repertoire:
            self.encoding, self.repertoire = encoding, repertoire
            self.memo = _memos[encoding, repertoire]

    def declare(self, attribute: Attribute) -> None:
        """Read text from here on as Specific Character Set says."""
        terms = tuple(term if isinstance(term, str) else None for term in attribute.get("Value", ()))
        repertoire = charset.repertoire_of(terms)
        if repertoire.trouble:
            self.irregular(f"Specific Character Set: {repertoire.trouble}")
        self.switch(self.encoding, repertoire)

    def check_number(self, elements: int) -> None:
        """That an unfinished data set of so many elements is within the limit."""
        if elements > self._left:
            raise self._too_many()

    def step(self) -> None:
        """Charge an element read the slow way, whether or not it gets into a data set."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise self._too_many()

    def _too_many(self) -> Problem:
        text = f"More than {self.limits.elements} attributes and items in one instance."
        return Problem(problem.Kind.TOO_LARGE, text)

    def enter_sequence(self) -> None:
        """Begin a sequence; one inside another keeps the outer from being remembered, so that depth stays counted."""
        if len(self.path) >= self.limits.depth:
            raise self.invalid(f"sequences are nested more than {self.limits.depth} deep")
        self._marks += bool(self.path)

    def count(self, dataset: Dataset) -> None:
        """Charge a finished data set to the limit."""
        self._left -= len(dataset) + 1

    def put(self, into: Dataset, attribute: Attribute) -> None:
        """Add the attribute being read, which may be out of order; what came twice is not added."""
        if self.tag in into:
            self.irregular("appears twice; the first counts")
            return
        if into and self.tag < next(reversed(into)) and not self.disordered:
            self.irregular("out of order")
            self.disordered = True
        into[self.tag] = attribute

    def keep_out(self, kind: Kind, start: int, length: int, into: Dataset, *, little: bool | None = None) -> None:
        """Note where the value lies and put its BulkDataURI into the data set."""
        path = self.here
        self._marks += 1
        if self.tag not in into:
            order = (self.encoding.little if little is None else little) or kind.vr not in WIDTHS
            self.bulk.append(BulkValue(path, kind.vr, start, length, order))
        self.put(into, {"vr": kind.vr, "BulkDataURI": f"{BULK_PLACE}/{path}"})

    def is_signed(self) -> bool:
        """Whether Pixel Representation, of the innermost data set that has it, says so."""
        self._marks += len(self.path)
        found = (each["00280103"] for each in reversed(self.open) if "00280103" in each)
        return next(found, {}).get("Value") == [1]

    def fresh(self, kind: Kind, whole: bytes) -> Attribute | None:
        """What an element with a short header becomes that was not remembered."""
        assert kind.convert is not None  # noqa: S101 - the table marks what has no converter as special
        self.tag = kind.tag
        mark = self._marks
        attribute = kind.convert(whole[8:], self)
        if attribute is not None:
            self.remember(whole, attribute, mark)
        return attribute

    @property
    def mark(self) -> int:
        """To be given to `remember` for an attribute whose reading begins now."""
        return self._marks

    def remember(self, whole: bytes, attribute: Attribute, mark: int) -> None:
        if self._marks != mark or len(whole) > _MEMO_ELEMENT:
            return
        if len(self.memo) >= _MEMO_ELEMENTS:
            self.memo.clear()
        self.memo[whole] = attribute


def is_short(length: int) -> bool:
    """Whether an element of this length is remembered at all."""
    return length <= _MEMO_ELEMENT
