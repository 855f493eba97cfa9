"""Who may import whom: the rooms and their doors, as docs/architecture.md has them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "maldon"
FLOOR = {"kernel", "ports", "store", "work", "web"}
SERVICES = ["identity", "placement", "image", "network", "volume", "compute"]
MAY: dict[str, set[str]] = {
    "kernel": set(),
    "ports": {"kernel"},
    "store": {"kernel"},
    "work": {"kernel", "ports", "store"},
    "web": {"kernel", "store"},
    **dict.fromkeys(SERVICES, FLOOR),
    "ec2": FLOOR,
    "objectstore": FLOOR,
    "dashboard": {"kernel", "web"},
    "agents": {"kernel", "ports"},
    "drivers": {"kernel", "ports"},
    "guest": set(),
    "runtime": {*FLOOR, *SERVICES, "ec2", "objectstore", "dashboard", "agents", "drivers"},
}


def modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if "migrations" not in p.parts)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[list[str]]:
    """Every dotted name of ours that a module imports, as its parts below `maldon`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                parts = [*(node.module or "").split("."), alias.name]
                if parts[0] == "maldon":
                    yield parts[1:]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "maldon":
                    yield parts[1:]


def refused(room: str, parts: list[str]) -> bool:
    """Whether a module of `room` may not import `maldon.<parts>`."""
    if not parts or parts[0] in {room, "__version__"} or (parts[0] in MAY[room] and room == "runtime"):
        return False
    if parts[0] in MAY[room] and parts[0] not in SERVICES:
        return False
    if room in SERVICES or room == "ec2":
        earlier = SERVICES[: SERVICES.index(room)] if room in SERVICES else SERVICES
        return not (parts[0] in earlier and len(parts) > 1 and parts[1] == "service")
    return True


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_is_entered_by_its_door(path):
    wrong = [
        ".".join(parts) for parts in imports(path) if room_of(path) != "__init__" and refused(room_of(path), parts)
    ]
    assert wrong == []


def test_nobody_imports_the_runtime():
    importers = [p for p in modules() if room_of(p) != "runtime" and any(i[:1] == ["runtime"] for i in imports(p))]
    assert importers == []


def test_the_rule_sees_a_wrong_door():
    assert refused("compute", ["network", "models", "port", "ports"])
    assert refused("network", ["compute", "service"])
    assert refused("agents", ["store", "database"])
    assert refused("kernel", ["web", "app"])
    assert not refused("compute", ["network", "service"])
    assert not refused("image", ["web", "request", "json"])


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_says_what_it_is_and_stays_readable(path):
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module begins with its design"
    assert text.count("\n") <= 500, "split it by noun"
