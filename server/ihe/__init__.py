"""The surface of IHE transactions over SOAP: each a row."""
