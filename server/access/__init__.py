"""Who may see or change what, and why."""
