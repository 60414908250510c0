"""The search index of resources: parameters, the keys a resource gets on write, the term a value asks for."""
