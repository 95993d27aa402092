"""What can be read off the package without running it: lines, and circles of imports."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path


def lines(folder: Path) -> int:
    """Lines of all Python files, blank ones and comments among them, as `wc -l` counts."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.py"))


def circles(package: Path) -> list[list[str]]:
    """Groups of modules that import each other, at their top or inside a function; what is for types only is none."""
    modules = {_name(path, package): path for path in package.rglob("*.py")}
    return _components({name: _imported(path, name, modules) for name, path in modules.items()})


def _name(path: Path, package: Path) -> str:
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, own: str, modules: Mapping[str, Path]) -> list[str]:
    found: list[str] = []
    for node in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
            continue
        parent = own.split(".") if path.name == "__init__.py" else own.split(".")[:-1]
        base = parent[: len(parent) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            found.append(f"{source}.{alias.name}" if f"{source}.{alias.name}" in modules else source)
    return [m for m in dict.fromkeys(found) if m in modules and m != own]


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for child in node.orelse if typing else ast.iter_child_nodes(node):
        yield from _imports(child)


def _components(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """Strongly connected components of more than one member (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(v: str) -> None:
        order[v] = low[v] = len(order)
        path.append(v)
        for w in graph[v]:
            if w not in order:
                visit(w)
            if w in path:
                low[v] = min(low[v], low[w])
        if low[v] == order[v]:
            members = path[path.index(v) :]
            del path[path.index(v) :]
            if len(members) > 1:
                found.append(sorted(members))

    for v in graph:
        if v not in order:
            visit(v)
    return found
