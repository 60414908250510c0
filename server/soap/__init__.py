"""SOAP 1.2 with WS-Addressing and MTOM, both ways; it knows nothing of what the messages say."""
