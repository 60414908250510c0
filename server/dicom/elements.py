"""The elements of a data set to DICOM JSON, in one pass over its bytes (PS3.5 chapter 7, PS3.18 annex F).

Written for speed, since every instance stored goes through it: `_plain` is the loop over short elements that are in
order and wholly at hand, nearly all there are; everything else goes through `_element`, which knows all and takes its
time.

Real files break every rule. Tolerated, with an irregularity noted: tags out of order or twice (the first counts),
values of the wrong length, unknown VRs, implicit headers amid explicit ones. Refused: whatever leaves doubt where the
next element begins, and nesting or numbers beyond the limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.dicom import fragments, headers
from server.dicom.encoding import OFFSET_TABLES, UNDEFINED, Encoding, Kind, Special
from server.dicom.fragments import Fragments
from server.dicom.limits import Limits
from server.dicom.reading import Dataset, Reading, is_short
from server.dicom.values import BULK_VRS, inline_binary
from server.dicom.window import EndOfFile, Steps, Window
from server.kernel import problem
from server.kernel.problem import Problem

OPEN = 1 << 62
"""End of what ends by a delimiter, or with the file."""

INLINE_BINARY = 1024
"""Longest binary value put into the JSON."""
INLINE_VALUE = 1 << 16
"""Longest value of any other VR put into the JSON, where the VR allows a BulkDataURI instead."""

_STRIDE = 1 << 20
"""Bytes after which the loop looks whether limits still hold."""
_AFTER_ALL = "~"
"""Greater than any tag: sends each element of a disordered data set the slow way, where duplicates are found."""


@dataclass(frozen=True, slots=True)
class PixelElement:
    """One of the three pixel data elements, at the top level."""

    tag: str
    place: int
    """Where the element begins."""
    start: int
    length: int
    """Of the value: from the first item to before the delimiter, where it is encapsulated."""
    fragments: Fragments | None


class Walk:
    """One walk over the elements of one data set."""

    def __init__(
        self,
        window: Window,
        encoding: Encoding,
        limits: Limits,
        *,
        encapsulated: bool = False,
        swapped_pixels: bool = False,
    ) -> None:
        self.found = Reading(encoding, limits)
        self.pixels: PixelElement | None = None
        self.offset_tables: dict[str, bytes] = {}
        self._window = window
        self._encapsulated = encapsulated
        self._swapped_pixels = swapped_pixels
        self._delimited = False
        """Whether a delimiter has just ended the item being read."""

    def run(self, start: int) -> Steps[Dataset]:
        """The data set that begins at `start` and ends with the file."""
        dataset: Dataset = {}
        try:
            yield from headers.believe_first(self._window, self.found, start)
            yield from self._data_set(start, OPEN, dataset)
        except EndOfFile:
            raise self.found.invalid(f"the file ends at byte {self._window.end}, in or after this attribute") from None
        return dataset

    def _data_set(self, start: int, stop: int, into: Dataset) -> Steps[int]:
        """Read into a dictionary until `stop` or the item's delimiter; where it ended."""
        found = self.found
        outer = found.encoding, found.repertoire
        disordered, found.disordered = found.disordered, False
        found.open.append(into)
        place = start
        while place < stop:
            place = self._plain(place, stop, into)
            found.check_number(len(into))
            if place >= stop or not (yield from self._another(place)):
                break
            place = yield from self._element(place, stop, into)
            if self._delimited:
                self._delimited = False
                break
        if found.disordered:
            _sort(into)
        found.disordered = disordered
        found.open.pop()
        found.count(into)
        found.switch(*outer)
        return place

    def _another(self, place: int) -> Steps[bool]:
        """Whether the data set goes on: the outermost may end with the file, and zeros may follow it."""
        window, outermost = self._window, len(self.found.open) == 1
        try:
            yield from window.need(place, place + 8)
        except EndOfFile:
            if not outermost or window.end < place or window.get(place, window.end).strip(b"\0"):
                raise
            return False
        if not outermost or window.get(place, place + 8).strip(b"\0"):
            return True
        yield from self._padding(place)
        return False

    def _padding(self, place: int) -> Steps[None]:
        """That nothing but zeros follows."""
        window = self._window
        while True:
            try:
                yield from window.need(place, place + _STRIDE)
            except EndOfFile:
                zeros = window.get(place, window.end)
                if zeros.strip(b"\0"):
                    raise self.found.invalid(f"zeros from byte {place} follow this attribute") from None
                return
            if window.get(place, place + _STRIDE).strip(b"\0"):
                raise self.found.invalid(f"zeros from byte {place} follow this attribute")
            place += _STRIDE

    def _plain(self, place: int, stop: int, into: Dataset) -> int:
        """Read short elements that are in order and at hand; where the first of another sort begins."""
        found = self.found
        data, base = self._window.data, self._window.base
        head, table = found.encoding.head, found.encoding.table
        remembered = found.memo.get
        last = _AFTER_ALL if found.disordered else next(reversed(into), "")
        at = place - base
        safe = min(len(data), stop - base, at + _STRIDE)
        while at + 8 <= safe:
            key, length = head(data, at)
            tag, special, kind = table[key]
            after = at + 8 + length
            if special or after > safe or tag <= last or length > INLINE_VALUE:
                break
            whole = data[at:after]
            attribute = remembered(whole) or found.fresh(kind, whole)
            if attribute is None:
                break
            into[tag] = attribute
            last = tag
            at = after
        if last is not _AFTER_ALL:
            found.tag = last
        return at + base

    def _element(self, place: int, stop: int, into: Dataset) -> Steps[int]:
        """Read the one element at `place`, whatever it is; where the next begins."""
        self.found.step()
        kind, start, length = yield from headers.read(self._window, self.found, place)
        if kind.special is Special.DELIMITER:
            return self._delimiter(kind.tag, length, place, stop)
        if length == UNDEFINED:
            after = yield from self._undefined(kind, place, start, into)
        else:
            after = start + length
            if after > stop:
                raise self.found.invalid(f"{length} bytes from byte {start} reach beyond the item they are in")
            yield from self._defined(kind, place, start, after, into)
        self.found.tag = kind.tag
        return after

    def _defined(self, kind: Kind, place: int, start: int, after: int, into: Dataset) -> Steps[None]:
        match kind.special:
            case Special.SEQUENCE:
                yield from self._defined_sequence(kind, place, start, after, into)
            case Special.PIXELS if len(self.found.open) == 1:
                yield from self._defined_pixels(kind, place, start, after, into)
            case Special.BINARY | Special.PIXELS:
                yield from self._binary(kind, start, after, into)
            case Special.OMITTED:
                if kind.tag < "00030000":
                    self.found.irregular("has no place in a data set")
            case _:
                yield from self._value(kind, start, after, into)

    def _undefined(self, kind: Kind, place: int, start: int, into: Dataset) -> Steps[int]:
        """An element that ends by a delimiter: a sequence, or encapsulated (PS3.5 A.4)."""
        if kind.special is Special.SEQUENCE or kind.vr == "UN":
            self.found.enter_sequence()
            items, after = yield from self._sequence(kind, start, OPEN)
            self.found.put(into, {"vr": "SQ", "Value": items} if items else {"vr": "SQ"})
            return after
        if kind.special not in (Special.BINARY, Special.PIXELS):
            raise self.found.invalid(f"its VR {kind.vr} cannot have an undefined length")
        limits = self.found.limits
        value, after = yield from fragments.read(self._window, start, OPEN, limits.fragments, limits.table)
        self._keep_fragments(kind, place, value, into)
        return after

    def _delimiter(self, tag: str, length: int, place: int, stop: int) -> int:
        """Where reading goes on after an item's delimiter, which ends the item unless its length was given."""
        found = self.found
        if len(found.open) > 1 and stop == OPEN and tag in ("FFFEE00D", "FFFEE0DD"):
            self._delimited = True
            return place + 8 if tag == "FFFEE00D" else place
        if length or tag == "FFFEE000":
            raise found.invalid(f"an item begins at byte {place}, where an attribute should")
        found.irregular("a delimiter that delimits nothing")
        return place + 8

    def _defined_sequence(self, kind: Kind, place: int, start: int, after: int, into: Dataset) -> Steps[None]:
        found, whole = self.found, b""
        found.enter_sequence()
        if is_short(after - place):
            yield from self._window.need(place, after)
            whole = self._window.get(place, after)
            known = found.memo.get(whole)
            if known is not None:
                found.put(into, known)
                return
        mark = found.mark
        items, _ = yield from self._sequence(kind, start, after)
        attribute = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        if whole:
            found.remember(whole, attribute, mark)
        found.put(into, attribute)

    def _sequence(self, kind: Kind, start: int, stop: int) -> Steps[tuple[list[Dataset], int]]:
        """The items from `start`, and where the sequence ends."""
        found, outer = self.found, self.found.encoding
        if kind.unknown or kind.vr == "UN":
            yield from headers.believe_item(self._window, self.found, start, stop)
        items: list[Dataset] = []
        place = start
        while place < stop:
            yield from self._window.need(place, place + 8)
            if self._window.get(place, place + 4) == found.encoding.sequence_end:
                place = place + 8 if stop == OPEN else stop
                break
            item: Dataset = {}
            found.path.append(f"{kind.tag}/{len(items)}/")
            place = yield from self._item(place, stop, item)
            found.path.pop()
            found.tag = kind.tag
            items.append(item)
        if place > stop:
            raise found.invalid(f"its items reach beyond byte {stop}, where it ends")
        found.switch(outer, found.repertoire)
        return items, place

    def _item(self, place: int, stop: int, into: Dataset) -> Steps[int]:
        window, encoding = self._window, self.found.encoding
        if window.get(place, place + 4) != encoding.item:
            raise self.found.invalid(f"no item begins at byte {place}")
        length = encoding.wide(window.data, place + 4 - window.base)[0]
        end = OPEN if length == UNDEFINED else place + 8 + length
        if end != OPEN and end > stop:
            raise self.found.invalid(f"an item of {length} bytes at byte {place} reaches beyond its sequence")
        return (yield from self._data_set(place + 8, end, into))

    def _defined_pixels(self, kind: Kind, place: int, start: int, after: int, into: Dataset) -> Steps[None]:
        if after == start:
            self.found.put(into, {"vr": kind.vr})
            return
        if not self._encapsulated:
            self.pixels = self.pixels or PixelElement(kind.tag, place, start, after - start, None)
            little = not self._swapped_pixels and self.found.encoding.little
            self.found.keep_out(kind, start, after - start, into, little=little)
            return
        self.found.irregular("pixel data of defined length under a transfer syntax that encapsulates it")
        yield from self._window.need(start, min(start + 4, after))
        value = Fragments(start, places=[(start, after - start)], end=after)
        if fragments.is_item(self._window.get(start, start + 4)):
            limits = self.found.limits
            value, _ = yield from fragments.read(self._window, start, after, limits.fragments, limits.table)
        self._keep_fragments(kind, place, value, into)

    def _keep_fragments(self, kind: Kind, place: int, value: Fragments, into: Dataset) -> None:
        length = value.end - value.start
        if kind.special is Special.PIXELS and len(self.found.open) == 1:
            self.pixels = self.pixels or PixelElement(kind.tag, place, value.start, length, value)
        self.found.keep_out(kind, value.start, length, into, little=True)

    def _binary(self, kind: Kind, start: int, after: int, into: Dataset) -> Steps[None]:
        found, length = self.found, after - start
        if kind.tag in OFFSET_TABLES and len(found.open) == 1 and length <= found.limits.table:
            yield from self._window.need(start, after)
            self.offset_tables[kind.tag] = self._window.get(start, after)
        if length > INLINE_BINARY:
            found.keep_out(kind, start, length, into)
            return
        yield from self._window.need(start, after)
        raw = self._window.get(start, after)
        found.put(into, inline_binary(kind.vr, raw, little=found.encoding.little))

    def _value(self, kind: Kind, start: int, after: int, into: Dataset) -> Steps[None]:
        """Text or numbers."""
        found, length, convert = self.found, after - start, kind.convert
        if length > INLINE_VALUE and kind.vr in BULK_VRS:
            found.keep_out(kind, start, length, into)
            return
        if length > found.limits.value:
            raise Problem(problem.Kind.TOO_LARGE, f"The value of {found.here} is too long: {length} bytes.")
        yield from self._window.need(start, after)
        if kind.special is Special.AMBIGUOUS:
            convert = found.encoding.converters["SS" if found.is_signed() else "US"]
        assert convert is not None  # noqa: S101 - every VR that comes here has a converter
        attribute = convert(self._window.get(start, after), found)
        if attribute is None:
            found.keep_out(kind, start, length, into)
            return
        found.put(into, attribute)
        if kind.special is Special.CHARACTER_SET:
            found.declare(attribute)


def _sort(dataset: Dataset) -> None:
    ordered = sorted(dataset.items())
    dataset.clear()
    dataset.update(ordered)
