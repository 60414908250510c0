"""Names of SOAP 1.2, WS-Addressing 1.0, XOP and WS-Security, as elements write them."""

from __future__ import annotations

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
XOP = "http://www.w3.org/2004/08/xop/include"

ANONYMOUS = WSA + "/anonymous"
ENVELOPE, HEADER, BODY, FAULT = (f"{{{SOAP}}}{local}" for local in ("Envelope", "Header", "Body", "Fault"))
MUST_UNDERSTAND, ROLE = f"{{{SOAP}}}mustUnderstand", f"{{{SOAP}}}role"
INCLUDE = f"{{{XOP}}}Include"

SOAP_TYPE = "application/soap+xml"
XOP_TYPE = "application/xop+xml"
MULTIPART = "multipart/related"
