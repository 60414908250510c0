"""Other communities: what is asked of them on behalf of somebody here (IHE XCA, XCA-I; initiating gateway)."""
