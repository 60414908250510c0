"""Other communities: where they are, and one question put to all of them (IHE ITI TF XCA)."""
