"""What is sent to other communities: the bodies of ITI-38 and ITI-39, written anew from what was read."""

from __future__ import annotations

from collections.abc import Sequence

from server.xds.ebxml_reading import AdhocQuery
from server.xds.ebxml_writing import escape
from server.xds.metadata import Slot
from server.xds.repository import DocumentRequest
from server.xds.vocabulary import QUERY, RIM, XDSB


def write_query(query: AdhocQuery) -> bytes:
    """query:AdhocQueryRequest."""
    home = f' home="{escape(query.home)}"' if query.home else ""
    return (
        f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{escape(query.return_type)}"/>'
        f'<rim:AdhocQuery id="{escape(query.id)}"{home}>{"".join(map(_slot, query.slots))}</rim:AdhocQuery>'
        "</query:AdhocQueryRequest>"
    ).encode()


def write_retrieval(requests: Sequence[DocumentRequest]) -> bytes:
    """xdsb:RetrieveDocumentSetRequest."""
    listed = "".join(map(_request, requests))
    return (f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}">{listed}</xdsb:RetrieveDocumentSetRequest>').encode()


def _slot(slot: Slot) -> str:
    values = "".join(f"<rim:Value>{escape(each)}</rim:Value>" for each in slot.values)
    return f'<rim:Slot name="{escape(slot.name)}"><rim:ValueList>{values}</rim:ValueList></rim:Slot>'


def _request(request: DocumentRequest) -> str:
    return (
        f"<xdsb:DocumentRequest><xdsb:HomeCommunityId>{escape(request.home)}</xdsb:HomeCommunityId>"
        f"<xdsb:RepositoryUniqueId>{escape(request.repository)}</xdsb:RepositoryUniqueId>"
        f"<xdsb:DocumentUniqueId>{escape(request.document)}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
    )
