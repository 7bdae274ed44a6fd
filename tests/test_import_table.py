"""Who may import whom, read from every import of the sources, also inside functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each folder may import besides the standard library and itself.
ALLOWED = {
    "protocols": {"h2", "hpack", "hyperframe", "msgspec", "pyasn1", "Crypto", "cryptography"},
    "config": {"msgspec"},
    "actors": {
        "protocols",
        "config",
        "trio",
        "msgspec",
        "psycopg",
        "httpx2",
        "joserfc",
        "cryptography",
        "prometheus_client",
        "structlog",
    },
}
ALLOWED["node"] = (
    ALLOWED["protocols"]
    | ALLOWED["actors"]
    | {"actors", "hypercorn", "quart", "quart_trio", "click", "rich", "outcome"}
)
# A library that tests and benchmarks use as oracle, and traces to name rare AVPs: never at import.
LAZY_IN_NODE = {"diameter"}
FORBIDDEN_ANYWHERE = {"tests"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line, top-level name, inside a function) of each absolute import."""
    tree = ast.parse(path.read_text())
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0], node in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, (node.module or "").partition(".")[0], node in inside


def violations(folder: str, allowed: set[str]) -> list[str]:
    import sys

    found = []
    for path in sources(folder):
        for line, name, is_inside in imported(path):
            if name in sys.stdlib_module_names or name in allowed or name == folder:
                continue
            if folder == "node" and name in LAZY_IN_NODE and is_inside:
                continue
            found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


@pytest.mark.parametrize("folder", sorted(ALLOWED))
def test_a_folder_imports_only_what_the_table_allows(folder: str) -> None:
    assert sources(folder)
    assert violations(folder, ALLOWED[folder]) == []


def test_scripts_import_no_tests() -> None:
    for path in sources("scripts"):
        for line, name, _ in imported(path):
            assert name not in FORBIDDEN_ANYWHERE, f"{path}:{line}"


def test_a_forbidden_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "bad.py").write_text("def f():\n    import trio\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert violations("protocols", ALLOWED["protocols"]) == ["protocols/bad.py:2 imports trio"]


@pytest.mark.parametrize("module", ["socket", "trio", "time", "random", "secrets"])
def test_protocols_have_no_sockets_clock_or_randomness(module: str) -> None:
    for path in sources("protocols"):
        for line, name, _ in imported(path):
            assert name != module, f"{path.relative_to(ROOT)}:{line} imports {module}"
