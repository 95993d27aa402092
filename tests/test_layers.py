"""What import-linter does not look at: no module, now or later, imports one that leads back to it."""

import grimp


def circles(graph: grimp.ImportGraph) -> set[str]:
    """The modules that import, directly or not, a module that imports them."""
    beyond = {m: graph.find_upstream_modules(m) for m in graph.modules}
    return {m for m, reached in beyond.items() if any(m in beyond[other] for other in reached)}


def test_no_import_goes_in_a_circle():
    graph = grimp.build_graph("veriscale")
    assert circles(graph) == set()
    graph.add_import(importer="veriscale.errors", imported="veriscale.imaging.photo")  # a circle is seen
    assert "veriscale.errors" in circles(graph)
