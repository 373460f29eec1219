"""Reading a yaml file into plain data that remembers the line of every key and value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from lpot_examples.errors import SpecError
from lpot_examples.spec.frozen import thaw

KeyPath = tuple[str | int, ...]
MAX_NODES = 100_000
"""Far above any spec; stops a file whose aliases expand without end."""

MINIMUM = "A spec needs at least 'model: {name: ..., framework: tensorflow}'."


@dataclass(frozen=True)
class Lines:
    """The 1-based lines on which a key and its value begin."""

    key: int
    value: int


@dataclass(frozen=True)
class Document:
    """The content of a spec before validation.

    Attributes:
        data: Plain dicts, lists and scalars.
        path: The file it came from, None for data built in Python.
        lines: Key path → `Lines`, for the keys that were written in the file.
        overridden: Key paths that the caller replaced after reading.
    """

    data: dict[str, Any]
    path: Path | None = None
    lines: Mapping[KeyPath, Lines] = field(default_factory=dict)
    overridden: frozenset[KeyPath] = frozenset()

    def with_overrides(self, overrides: Mapping[str, Any]) -> Document:
        """Return a copy with dotted keys such as ``tuning.exit_policy.timeout`` replaced.

        Raises:
            SpecError: If a dotted key leads through something that is not a mapping.
        """
        data = thaw(self.data)
        paths = [tuple(dotted.split(".")) for dotted in overrides]
        for path, value in zip(paths, overrides.values(), strict=True):
            here = data
            for part in path[:-1]:
                here[part] = {} if here.get(part) is None else here[part]
                here = here[part]
                if not isinstance(here, dict):
                    raise SpecError(
                        f"The override '{'.'.join(path)}' needs {part} to be a mapping; "
                        f"the spec has {here!r} there.",
                        path=self.path,
                    )
            here[path[-1]] = thaw(value)
        lines = {
            key: line
            for key, line in self.lines.items()
            if not any(key[: len(path)] == path for path in paths)
        }
        return replace(self, data=data, lines=lines, overridden=self.overridden | frozenset(paths))


def read_document(path: Path) -> Document:
    """Read a yaml file without changing it.

    Yaml 1.1 is read, as LPOT does: ``yes`` is a boolean. A key without a value is None.

    Raises:
        SpecError: If the file cannot be read, is not yaml, repeats a key or is not a mapping.
    """
    root = _compose(_read_text(path), path)
    if root is None:
        raise SpecError(f"The spec is empty. {MINIMUM}", path=path)
    if not isinstance(root, MappingNode):
        raise SpecError(
            f"A spec must be a mapping of keys to values; this file holds a "
            f"{'single value' if isinstance(root, ScalarNode) else 'list'}. {MINIMUM}",
            path=path,
            line=root.start_mark.line + 1,
        )
    return _Builder(path).document(root)


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        raise SpecError("A spec must be a yaml file; this is a directory.", path=path) from None
    except FileNotFoundError:
        raise SpecError("No such spec file. Check the path.", path=path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise SpecError(f"Cannot read the spec: {reason}.", path=path) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"A spec must be UTF-8 text; byte 0x{raw[error.start]:02x} is not. "
            "Save the file as UTF-8.",
            path=path,
            line=raw.count(b"\n", 0, error.start) + 1,
        ) from None


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    return yaml


def _compose(text: str, path: Path) -> Node | None:
    line: int | None = None
    try:
        return _yaml().compose(text)  # type: ignore[no-any-return]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"A spec must be text; it holds the control character U+{error.character:04X}."
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        message = _explain(error)
    except YAMLError as error:
        message = f"Not valid yaml: {error}."
    except RecursionError:
        message = "The yaml is nested too deeply to be a spec."
    raise SpecError(message, path=path, line=line)


def _explain(error: MarkedYAMLError) -> str:
    problem = error.problem or "unreadable"
    if "'\\t'" in problem:
        return "A tab is used for indentation, which yaml forbids; use spaces."
    if "another document" in problem:
        return "A spec must be one yaml document; remove what follows the second '---'."
    context = f" {error.context}" if error.context else ""
    return f"Not valid yaml: {problem}{context}. Check the indentation, quotes and brackets here."


class _Builder:
    """Turns yaml nodes into plain data, noting lines and refusing repeated keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[KeyPath, Lines] = {}
        self.constructor = _yaml().constructor
        self.nodes = 0

    def document(self, root: MappingNode) -> Document:
        return Document(self._mapping(root, (), ()), self.path, self.lines)

    def _value(self, node: Node, path: KeyPath, parents: tuple[Node, ...]) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or any(node is parent for parent in parents):
            raise self._error("The aliases here expand without end; write the content out.", node)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, path, parents)
        items = []
        for index, child in enumerate(node.value):
            here = (*path, index)
            self._mark(here, child, child)
            items.append(self._value(child, here, (*parents, node)))
        return items

    def _mapping(
        self, node: MappingNode, path: KeyPath, parents: tuple[Node, ...]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key, value in node.value:
            if str(key.tag).endswith(":merge"):
                for source in self._merge_sources(value):
                    content = self._value(source, path, (*parents, node))
                    merged.update({k: v for k, v in content.items() if k not in merged})
                continue
            name = self._key(key)
            line = key.start_mark.line + 1
            if name in first:
                raise self._error(
                    f"The key '{name}' is written twice, first on line {first[name]}. Keep one.",
                    key,
                )
            first[name] = line
            here = (*path, name)
            self._mark(here, key, value)
            result[name] = self._value(value, here, (*parents, node))
        return {**result, **{k: v for k, v in merged.items() if k not in result}}

    def _merge_sources(self, node: Node) -> Iterator[MappingNode]:
        for source in [node] if isinstance(node, MappingNode) else node.value:
            if not isinstance(source, MappingNode):
                raise self._error("'<<' must name a mapping.", node)
            yield source

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self._error("A key must be a single word; this one is a list or mapping.", node)
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Any:
        kind = str(node.tag).rsplit(":", 1)[-1]
        if kind == "null":
            return None
        if kind == "float":
            try:
                return float(node.value.replace("_", ""))
            except ValueError:
                return self.constructor.construct_yaml_float(node)
        if kind == "int":
            return self.constructor.construct_yaml_int(node)
        # Yaml 1.1 also reads a bare y or n as a boolean; LPOT's parser does not.
        if kind == "bool" and len(node.value) > 1:
            return self.constructor.construct_yaml_bool(node)
        return str(node.value)

    def _mark(self, path: KeyPath, key: Node, value: Node) -> None:
        line = key.start_mark.line + 1
        # A missing value is marked by the parser where the next token starts.
        missing = isinstance(value, ScalarNode) and not value.value
        self.lines[path] = Lines(line, line if missing else value.start_mark.line + 1)

    def _error(self, message: str, node: Node) -> SpecError:
        return SpecError(message, path=self.path, line=node.start_mark.line + 1)
