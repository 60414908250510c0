"""What a registry and a repository answer with: RegistryResponse, and the two that hold it (IHE ITI TF-3 4.2.4).

The status follows from what is in the answer: Failure where an error left nothing, PartialSuccess where something is
there all the same, Success with or without warnings.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.audit.entities import document_detail
from server.kernel.context import Context
from server.kernel.problem import Problem
from server.soap.message import Attachment, Exchange, Reply, placeholder
from server.xds.ebxml_writing import escape
from server.xds.errors import ErrorCode, RegistryError, errors_of
from server.xds.repository import DocumentRequest, RetrievedDocument
from server.xds.vocabulary import ERROR, FAILURE, PARTIAL_SUCCESS, QUERY, RIM, RS, SUCCESS, WARNING, XDSB

_RS = f' xmlns:rs="{RS}"'


def registry_response(errors: Sequence[RegistryError] = (), *, is_partial: bool = False) -> bytes:
    """`is_partial`: something was done in spite of the errors."""
    return _response(errors, _RS, is_partial=is_partial)


def query_response(
    objects: Sequence[bytes], errors: Sequence[RegistryError] = (), *, is_partial: bool = False
) -> bytes:
    """`objects` as the registry keeps them, with the prefix `rim:`; `is_partial`: finding none was an answer too."""
    head = (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{RIM}"{_RS} '
        f'status="{_status(errors, is_partial=is_partial or bool(objects))}">'
    )
    start = head.encode() + _error_list(errors) + b"<rim:RegistryObjectList>"
    return b"".join([start, *objects, b"</rim:RegistryObjectList></query:AdhocQueryResponse>"])


def retrieve_response(documents: Sequence[RetrievedDocument], errors: Sequence[RegistryError] = ()) -> Reply:
    """Documents are opened when they are sent; a community is named only where the request did."""
    head = f'<xdsb:RetrieveDocumentSetResponse xmlns:xdsb="{XDSB}"{_RS}>'.encode()
    body = [head, _response(errors, "", is_partial=bool(documents))]
    body += [_document(number, each) for number, each in enumerate(documents)]
    body.append(b"</xdsb:RetrieveDocumentSetResponse>")
    attachments = (Attachment(each.open(), each.size, each.mime_type) for each in documents)
    return Reply(b"".join(body), tuple(attachments))


def told(context: Context, failure: Exception) -> tuple[RegistryError, ...]:
    """What a transaction that failed as a whole says; noted for the audit trail."""
    if isinstance(failure, Problem):
        errors = errors_of(failure)
    else:
        errors = (RegistryError(ErrorCode.REGISTRY, "The transaction could not be carried out."),)
    note(context, errors)
    return errors


def note(context: Context, errors: Sequence[RegistryError]) -> None:
    for each in errors:
        if not each.is_warning:
            context.trail.fail(str(each.code), each.location)


def note_documents(context: Context, asked: Sequence[DocumentRequest], errors: Sequence[RegistryError]) -> None:
    """As `note`, with where each document was said to be."""
    requests = {each.document: each for each in asked}
    for error in errors:
        request = requests.get(error.location)
        detail = document_detail(request.repository, request.home) if request else ""
        if not error.is_warning:
            context.trail.fail(str(error.code), error.location, detail)


def refuse(exchange: Exchange, failure: Exception) -> Reply:
    """Of transactions answered by a bare RegistryResponse."""
    return Reply(registry_response(told(exchange.context, failure)))


def refuse_query(exchange: Exchange, failure: Exception) -> Reply:
    """Of stored queries."""
    return Reply(query_response((), told(exchange.context, failure)))


def refuse_retrieval(exchange: Exchange, failure: Exception) -> Reply:
    """Of whatever is answered with documents or images."""
    return retrieve_response((), told(exchange.context, failure))


def _response(errors: Sequence[RegistryError], namespace: str, *, is_partial: bool) -> bytes:
    head = f'<rs:RegistryResponse{namespace} status="{_status(errors, is_partial=is_partial)}"'
    if not errors:
        return head.encode() + b"/>"
    return head.encode() + b">" + _error_list(errors) + b"</rs:RegistryResponse>"


def _status(errors: Sequence[RegistryError], *, is_partial: bool) -> str:
    if all(each.is_warning for each in errors):
        return SUCCESS
    return PARTIAL_SUCCESS if is_partial else FAILURE


def _error_list(errors: Sequence[RegistryError]) -> bytes:
    if not errors:
        return b""
    highest = WARNING if all(each.is_warning for each in errors) else ERROR
    listed = "".join(map(_error, errors))
    return f'<rs:RegistryErrorList highestSeverity="{highest}">{listed}</rs:RegistryErrorList>'.encode()


def _error(error: RegistryError) -> str:
    location = f' location="{escape(error.location)}"' if error.location else ""
    return (
        f'<rs:RegistryError codeContext="{escape(error.context)}" errorCode="{escape(str(error.code))}"{location} '
        f'severity="{WARNING if error.is_warning else ERROR}"/>'
    )


def _document(number: int, document: RetrievedDocument) -> bytes:
    request = document.request
    home = f"<xdsb:HomeCommunityId>{escape(request.home)}</xdsb:HomeCommunityId>" if request.home else ""
    head = (
        f"<xdsb:DocumentResponse>{home}<xdsb:RepositoryUniqueId>{escape(request.repository)}</xdsb:RepositoryUniqueId>"
        f"<xdsb:DocumentUniqueId>{escape(request.document)}</xdsb:DocumentUniqueId>"
        f"<xdsb:mimeType>{escape(document.mime_type)}</xdsb:mimeType><xdsb:Document>"
    )
    return head.encode() + placeholder(number) + b"</xdsb:Document></xdsb:DocumentResponse>"
