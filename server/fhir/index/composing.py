"""Works out the composite parameters of a type: what each part is, and whose rows it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from server.fhir.index.composites import DISCRETE, ORDERED
from server.fhir.index.drafts import Definition, Draft
from server.fhir.index.expressions import Path, parse, parts
from server.fhir.index.parameters import Component, Parameter, Source
from server.fhir.index.routes import Move, Route, routes, shape_at

Named = Callable[[str], Definition | None]
"""A definition by its canonical URL."""
Plain = Mapping[str, Parameter]


def composites(drafts: Mapping[str, Draft], plain: Plain, named: Named) -> dict[str, Parameter]:
    """The composites among the drafts; one without components cannot be answered."""
    ways = {code: _ways(each, plain, named) for code, each in drafts.items() if each.type == "composite"}
    return {code: _joined(drafts[code], each, ways) for code, each in ways.items()}


def _ways(draft: Draft, plain: Plain, named: Named) -> list[Parameter]:
    """One for each member of the union: the resource itself, or elements within."""
    found = [_way(draft, path, plain, named) for path in draft.paths or ()]
    return [each for each in found if each] if all(found) else []


def _way(draft: Draft, path: Path, plain: Plain, named: Named) -> Parameter | None:
    shape = shape_at(path, draft.resource_type)
    if shape is None:
        return None
    make = _whole_component if not path.steps else _element_component
    components = [make(draft, each, shape, plain, named) for each in draft.definition.get("component", ())]
    made = tuple(each for each in components if each)
    if len(made) < len(components) or len(made) < 2:
        return None
    sources = (Source(draft.code),) if path.steps else ()
    own_routes = tuple(routes(path, draft.resource_type))
    return replace(draft.bare, is_repeating=True, components=made, sources=sources, routes=own_routes)


def _joined(draft: Draft, ways: list[Parameter], others: Mapping[str, list[Parameter]]) -> Parameter:
    shared = [_shared(each, others) for each in ways]
    if len(shared) == 1:
        return shared[0]
    components = shared[0].components if shared else ()
    return replace(draft.bare, is_repeating=True, union=tuple(shared), components=components)


def _shared(way: Parameter, others: Mapping[str, list[Parameter]]) -> Parameter:
    """With the rows of a parameter that has the same elements and parts, where there is one."""
    for code, ways in sorted(others.items()):
        if way.sources and len(ways) == 1 and ways[0].sources and _meaning(ways[0]) == _meaning(way):
            return replace(way, sources=(Source(code),))
    return way


def _meaning(way: Parameter) -> object:
    return way.routes, [(each.parameter.type, each.parameter.routes) for each in way.components]


def _whole_component(draft: Draft, component: Definition, shape: str, plain: Plain, named: Named) -> Component | None:
    """The parameter of the type that says no more than this part need: `value-quantity`, not `combo-value-quantity`."""
    definition = named(component["definition"])
    if definition is None:
        return None
    wanted = {each.moves for each in _routes(component["expression"], shape) or ()}
    fitting = [
        each
        for each in plain.values()
        if wanted and each.type == definition["type"] and wanted <= {route.moves for route in each.routes}
    ]
    chosen = min(fitting, key=lambda each: (len(each.routes), each.code), default=plain.get(definition["code"]))
    return Component(component["definition"], component["expression"], chosen) if chosen else None


def _element_component(draft: Draft, component: Definition, shape: str, plain: Plain, named: Named) -> Component | None:
    expression = component["expression"]
    is_whole = expression.startswith("%resource")
    found = _routes(expression, draft.resource_type if is_whole else shape)
    definition = _stated(found, () if is_whole else _elements(draft), plain, named) or named(component["definition"])
    if not found or definition is None or definition["type"] not in DISCRETE | ORDERED:
        return None
    parameter = Parameter(
        code=draft.code,
        type=definition["type"],
        url=definition["url"],
        resource_type=draft.resource_type,
        base=tuple(draft.definition["base"]),
        expression=expression,
        targets=tuple(definition.get("target", ())),
        kinds=frozenset(each.type for each in found),
        value_sets=tuple(dict.fromkeys(each.value_set for each in found if each.value_set)),
        is_repeating=True,
        routes=tuple(found),
    )
    return Component(component["definition"], expression, parameter)


def _stated(
    found: list[Route] | None, elements: Sequence[tuple[Move, ...]], plain: Plain, named: Named
) -> Definition | None:
    """The parameter of the same values. It is asked before the definition that a part names, because HL7's
    `relationship` of DocumentReference has the definitions of its parts the wrong way round.
    """
    wanted = {(*element, *each.moves) for element in elements or ((),) for each in found or ()}
    same = (each for each in plain.values() if wanted and {route.moves for route in each.routes} == wanted)
    return next((named(each.url) for each in same), None)


def _elements(draft: Draft) -> tuple[tuple[Move, ...], ...]:
    return tuple(each.moves for each in draft.routes if each.moves)


def _routes(expression: str, shape: str) -> list[Route] | None:
    """Of a union every member; those of other types than the element can have lead nowhere."""
    paths = [parse(each) for each in parts(expression)]
    return [route for path in paths if path for route in routes(path, shape)] if all(paths) else None
