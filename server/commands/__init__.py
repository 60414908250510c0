"""The commands of `weft`: each reads settings, calls a service and tells a person what came of it."""
