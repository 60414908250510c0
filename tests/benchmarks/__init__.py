"""How fast a DICOMweb server is: this one, or any other at a base URL, and two of them side by side."""
