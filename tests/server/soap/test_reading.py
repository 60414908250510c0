"""Messages come in simple or MTOM, binaries as parts or inline; whatever is wrong with one leaves nothing behind."""

from __future__ import annotations

import random
from base64 import b64encode, encodebytes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import process_time

import pytest

from server.soap.envelope import parse
from server.soap.message import Exchange
from server.soap.reading import MessageLimits
from server.soap.scanning import Shares
from tests.server.soap.shell import MTOM, PLAIN, ROOT, Shell, document, fault, include, message, package, part, root

SAMPLES = random.Random(7)
OCTETS = SAMPLES.randbytes(100_000)
BASE64 = b64encode(OCTETS).decode()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "blobs")


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_inline_base64_is_taken_out_however_the_bytes_arrive(shell: Shell, size: int) -> None:
    text = encodebytes(OCTETS[:2000]).decode().replace("\n", "&#xD;\n")
    body = message(document(f"\n {text} ") + document("AAAA", "d2") + document("", "d3") + document(" \n", "d4"))

    sent = shell.send(pieces(body, size))

    assert sent.status == 200
    assert shell.seen == {"d1": OCTETS[:2000].decode("latin-1"), "d2": "\0\0\0"}
    assert shell.left == []


@pytest.mark.parametrize("size", [13, 1 << 20])
def test_parts_and_inline_base64_come_in_one_message(shell: Shell, size: int) -> None:
    content = document(include("cid:a%40b")) + document(BASE64, "d2") + document(include("cid:c:d"), "d3")
    body = package(
        root(message(content)),
        part(OCTETS[:500], "<a@b>"),
        part(encodebytes(b"text of the third"), "<c:d>", encoding="base64"),
    )

    sent = shell.send(pieces(body, size), MTOM)

    assert sent.status == 200
    assert shell.seen == {
        "d1": OCTETS[:500].decode("latin-1"),
        "d2": OCTETS.decode("latin-1"),
        "d3": "text of the third",
    }
    assert shell.left == []


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        (MTOM, ["binary", "root"]),
        (MTOM.replace(ROOT, "<other@sender>"), ["root", "binary"]),
        ("multipart/related; boundary=B", ["root", "binary"]),
        (MTOM.replace("application/xop+xml", "text/xml"), ["binary", "binary2", "root"]),
    ],
    ids=["root last", "start names no part", "no start", "another type"],
)
def test_the_root_is_found_wherever_it_stands(shell: Shell, kind: str, parts: list[str]) -> None:
    made = {
        "root": root(message(document(include("cid:a@b")))),
        "binary": part(b"content", "<a@b>"),
        "binary2": part(b"nobody refers to it", "<z@b>"),
    }

    assert shell.send(package(*(made[each] for each in parts)), kind).status == 200
    assert shell.seen == {"d1": "content"}
    assert shell.left == []


def test_what_is_kept_stays(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", keeps=True)

    shell.send(
        package(root(message(document(include("cid:a@b")))), part(b"kept", "<a@b>"), part(b"not", "<u@b>")), MTOM
    )

    assert len(shell.left) == 1


PARTS = part(b"one", "<a@b>"), part(b"two", "<c@d>")
WRONG = {
    "href is a URL": (include("http://evil.example/x"), PARTS),
    "href is a file": (include("file:///etc/passwd"), PARTS),
    "no href": ('<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include"/>', PARTS),
    "unknown part": (include("cid:nobody@b"), PARTS),
    "text beside it": (include("cid:a@b") + "AAAA", PARTS),
    "two in one element": (include("cid:a@b") + include("cid:c@d"), PARTS),
    "duplicate parts": (include("cid:a@b"), (*PARTS, PARTS[0])),
    "used twice": (include("cid:a@b") + f"</x:Document>{document(include('cid:a@b'))}<x:Document>", PARTS),
    "unknown encoding": (include("cid:a@b"), (part(b"=20", "<a@b>", encoding="quoted-printable"),)),
    "broken base64": (include("cid:a@b"), (part(b"AAA", "<a@b>", encoding="base64"),)),
    "too many parts": (include("cid:a@b"), tuple(part(b"x", f"<{n}@b>") for n in range(9))),
    "a part too long": (include("cid:a@b"), (part(bytes(1 << 21), "<a@b>"),)),
    "part headers too long": (include("cid:a@b"), (part(b"x", "<" + "y" * 20_000 + "@b>"),)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_packages_are_faults_and_leave_nothing(shell: Shell, case: str) -> None:
    content, parts = WRONG[case]

    sent = shell.send(package(root(message(document(content))), *parts), MTOM)

    status, code, _, _ = fault(sent)
    assert (status, code) in ((400, "Sender"), (413, "Sender"), (415, "Sender"))
    assert shell.exchanges == 0
    assert shell.left == []


@pytest.mark.parametrize(
    "text",
    ["AAA", "A=AA", "AAAA=", "AA==AAAA", "not base64!", "&#65;AAA", "&lt;AAA", "<![CDATA[AAAA]]>", "AA<!-- c -->AA",
     "AAAA<x/>", "\u00e9AAA", "&#x"],
)  # fmt: skip
def test_inline_text_that_is_not_base64_alone_is_refused(shell: Shell, text: str) -> None:
    status, code, _, _ = fault(shell.send(message(document(text))))

    assert (status, code) == (400, "Sender")
    assert shell.exchanges == 0
    assert shell.left == []


def test_only_documents_of_xds_are_taken_out(shell: Shell) -> None:
    assert fault(shell.send(message('<y:Document xmlns:y="urn:other">AAAA</y:Document>')))[:2] == (400, "Sender")
    assert fault(shell.send(message("<!-- <Document >AAAA</Document> -->")))[:2] == (400, "Sender")
    assert shell.left == []
    assert shell.send(message("<DocumentUniqueId>1.2.3</DocumentUniqueId><Documents>x</Documents>")).status == 200


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
HOSTILE = {
    "document type": b"<!DOCTYPE x>" + message(),
    "entity bomb": ENTITIES.encode() + message("&b;"),
    "external entity": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + message("&f;"),
    "external subset": b'<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">' + message(),
    "document type in UTF-16": ("\ufeff<!DOCTYPE x>" + message().decode()).encode("utf-16-le"),
    "document type in EBCDIC": '<?xml version="1.0" encoding="IBM037"?><!DOCTYPE x><x/>'.encode("cp037"),
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>' + message(),
    "undefined entity": message("&nbsp;"),
    "too deep": message("<a>" * 400 + "</a>" * 400),
    "too long": message("<a>" + "x" * 100_000 + "</a>"),
    "a tag without an end": message("<a " + "x" * 50_000),
    "cut short": message()[:-20],
    "empty": b"",
    "no XML": b"hello",
    "not an envelope": b"<x/>",
    "two bodies": message().replace(b"</s:Body>", b"</s:Body><s:Body/>"),
    "empty body": b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>',
    "a control character": message("&#0;"),
    "not UTF-8": message("\xff").replace("\xff".encode(), b"\xff"),
    "ebRIM 2.1": message().replace(b"urn:test", b"urn:oasis:names:tc:ebxml-regrep:query:xsd:2.1"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_envelopes_are_faults(shell: Shell, case: str) -> None:
    status, code, _, reason = fault(shell.send(HOSTILE[case], "application/soap+xml"))

    assert (status, code) in ((400, "Sender"), (413, "Sender"), (415, "Sender")), reason
    assert "passwd" not in reason
    assert shell.exchanges == 0


def test_many_small_elements_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", limits=MessageLimits(message=64 << 20))

    assert fault(shell.send(message("<a/>" * 2_100_000)))[:2] == (413, "Sender")


@pytest.mark.parametrize(
    "whole",
    [
        message(document("") * 600),
        message().replace(b"<s:Header>", b"<s:Header>" + b"<h xmlns='urn:x'/>" * 1001),
        message("<Document/>" * 200_001),
    ],
    ids=["documents", "header blocks", "what looks like documents"],
)
def test_more_than_anybody_looks_through_is_refused(shell: Shell, whole: bytes) -> None:
    assert fault(shell.send(whole))[:2] == (413, "Sender")
    assert shell.exchanges == 0


def test_a_long_comment_in_small_pieces_costs_no_more_than_in_large_ones(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", limits=MessageLimits(message=1 << 20))
    begun = process_time()
    assert shell.send(pieces(message(f"<a><!--{'x' * 600_000}--></a>"), 16)).status == 200
    assert process_time() - begun < 3


def test_chinese_encodings_are_understood(shell: Shell) -> None:
    told: list[str] = []
    shell.asked = lambda exchange: told.append("".join(exchange.body.itertext()))
    body = message("<p>检查报告</p>").decode()

    declared = '<?xml version="1.0" encoding="GB18030"?>' + body
    assert shell.send(declared.encode("gb18030"), "application/soap+xml").status == 200
    assert shell.send(body.encode("gbk"), PLAIN.replace("UTF-8", "gbk")).status == 200
    assert fault(shell.send(body.encode("gbk")))[:2] == (400, "Sender")
    assert told == ["检查报告"] * 2


@pytest.mark.parametrize("kind", ["", "text/html", "application/json", "multipart/form-data; boundary=B"])
def test_other_media_types_are_refused(shell: Shell, kind: str) -> None:
    assert fault(shell.send(message(), kind))[1] == "Sender"


def test_a_body_of_another_length_than_it_claims_is_refused(shell: Shell) -> None:
    body = message()

    assert fault(shell.send(body, headers={"content-length": str(len(body) + 5)}))[:2] == (400, "Sender")
    assert shell.send(body, headers={"content-length": str(len(body))}).status == 200
    packed = package(root(message(document(include("cid:a@b")))), part(b"x", "<a@b>"))
    assert fault(shell.send(packed, MTOM, {"content-length": str(len(packed) - 3)}))[:2] == (400, "Sender")
    assert shell.left == []


@pytest.mark.parametrize("share", [0.3, 0.8, 0.97])
def test_a_client_that_leaves_leaves_nothing(shell: Shell, share: float) -> None:
    body = package(part(OCTETS, "<a@b>"), root(message(document(include("cid:a@b")))), part(OCTETS, "<z@b>"))

    assert shell.send(pieces(body[: int(len(body) * share)], 10_000), MTOM, leaves=True).status == 0
    assert shell.send(pieces(message(document(BASE64)), 50_000)[:2], leaves=True).status == 0

    assert shell.exchanges == 0
    assert shell.left == []


def test_long_envelopes_share_a_bounded_room(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", limits=MessageLimits(message=8 << 20), room=Shares(3 << 20))
    inside: list[int] = []

    def meanwhile(exchange: Exchange) -> None:
        shell.asked = lambda _: None
        with ThreadPoolExecutor(1) as thread:
            inside.append(thread.submit(shell.send, long).result().status)

    long = message(f"<a>{'x' * (3 << 20)}</a>")
    shell.asked = meanwhile

    assert shell.send(long).status == 200
    assert inside == [503]
    assert shell.send(long).status == 200


def test_one_sender_leaves_room_for_others(tmp_path: Path) -> None:
    """A fourth of it is taken by one message: its sender has no more meanwhile, and another sender has."""
    shell = Shell(tmp_path / "blobs", limits=MessageLimits(message=4 << 20), room=Shares(16 << 20))
    inside: list[int] = []

    def meanwhile(exchange: Exchange) -> None:
        shell.asked = lambda _: None
        with ThreadPoolExecutor(1) as thread:
            for peer in ("127.0.0.1", "127.0.0.2"):
                inside.append(thread.submit(shell.send, long, peer=peer).result().status)

    long = message(f"<a>{'x' * 3_900_000}</a>")
    shell.asked = meanwhile

    assert shell.send(long).status == 200
    assert inside == [503, 200]
    assert shell.send(long).status == 200


def test_what_one_sender_stores_before_it_is_known_is_a_share(tmp_path: Path) -> None:
    limits = MessageLimits(message=64 << 10, document=100_000, parts=8)
    shell = Shell(tmp_path / "blobs", limits=limits, unknown=Shares(1_000_000))
    one, two, three = (part(OCTETS, f"<{name}@b>") for name in "abc")

    bodies = (one + two, b""), (one + two + three, b""), (b"", one + two + three)
    sent = [shell.send(package(before, root(message()), after), MTOM).status for before, after in bodies]

    assert sent == [200, 503, 200]
    assert shell.left == []


def test_what_comes_before_its_sender_is_known_is_bounded(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs", unknown=Shares(150_000))
    before = package(part(OCTETS, "<a@b>"), part(OCTETS, "<c@d>"), root(message()))
    after = package(root(message()), part(OCTETS, "<a@b>"), part(OCTETS, "<c@d>"))

    assert [shell.send(each, MTOM).status for each in (before, after, before)] == [503, 200, 503]
    assert shell.send(message(document(BASE64))).status == 200
    assert shell.left == []


@pytest.mark.parametrize("mark", ["<!-- c -->", "<?p i?>", "<?p?><!---->"])
@pytest.mark.parametrize("start", ["", '<?xml version="1.0"?>', '\ufeff<?xml version="1.0"?>'])
def test_text_is_whole_though_a_comment_or_an_instruction_stands_within(mark: str, start: str) -> None:
    told = parse(start.encode() + message(f"<a>one{mark}two</a>"))
    assert told.body.findtext("{*}a") == "onetwo"
    assert parse(start.encode() + message("<a>onetwo</a>")).body.findtext("{*}a") == "onetwo"


def test_no_bytes_make_anything_but_a_problem(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "blobs")
    simple = message(document("AAAA") + document(include("cid:a@b"), "d2"))
    packed = package(root(message(document("AAAA") + document(include("cid:a@b"), "d2"))), part(b"content", "<a@b>"))
    chance = random.Random(11)
    statuses = set()
    for number in range(150):
        body, kind = ((simple, PLAIN), (packed, MTOM))[number % 2]
        broken = bytearray(body)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(broken))
            match chance.randrange(4):
                case 0:
                    broken[place] = chance.randrange(256)
                case 1:
                    del broken[place : place + chance.randrange(1, 30)]
                case 2:
                    broken[place:place] = broken[chance.randrange(len(broken)) :][: chance.randrange(40)]
                case _:
                    broken[place:place] = chance.choice([b"<", b">", b"&", b"]]>", b"<!--", b"--B", b"\0", b"\xff"])
        sent = shell.send(bytes(broken), kind)
        assert b"Weft failed" not in sent.body
        statuses.add(sent.status)
    assert statuses <= {200, 400, 413, 415, 500}
    assert shell.left == []
