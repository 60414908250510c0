"""The document registry and repository as services (IHE ITI TF XDS.b): they know metadata, no envelopes and no HTTP."""
