"""The DICOM model: everything PS3.3, 3.5, 3.6 and 3.18 annex F says, without I/O."""
