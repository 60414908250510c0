"""Who is who across hospitals: identifiers, the persons they mean, and what joins or parts them."""
