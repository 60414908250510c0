"""What this server claims, and a kit that checks any server's claims from outside."""
