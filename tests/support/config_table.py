"""The README's table of every configuration key, made from the types.

``python -m tests.support.config_table`` prints it.
"""

from collections.abc import Iterator

from msgspec import NODEFAULT, inspect

from exporter.config import Config, variables
from exporter.settings import KeyPath, bare, rule

HEAD = "| key | default | value | environment | meaning |\n|---|---|---|---|---|"


def config_table() -> str:
    """Return the table in Markdown, without a newline at its end."""
    names = {path: variable for variable, path in variables().items()}
    rows = [_row(path, field, names) for path, field in _keys(inspect.type_info(Config), ())]
    return "\n".join([HEAD, *rows])


def _keys(kind: inspect.Type, above: KeyPath) -> Iterator[tuple[KeyPath, inspect.Field]]:
    """Every key in the order of the types; those inside ``workflows`` are said in its meaning."""
    for field in kind.fields if isinstance(kind, inspect.StructType) else ():
        path, inner = (*above, field.encode_name), bare(field.type)
        if isinstance(inner, inspect.StructType):
            yield from _keys(inner, path)
        else:
            yield path, field


def _row(path: KeyPath, field: inspect.Field, names: dict[KeyPath, str]) -> str:
    variable = f"`{names[path]}`" if path in names else "in the file only"
    return f"| `{'.'.join(path)}` | {_default(field)} | {_rule(field.type)} | {variable} | {_meaning(field.type)} |"


def _default(field: inspect.Field) -> str:
    match field.default:
        case _ if field.default is NODEFAULT:
            return "none"
        case None:
            return "none"
        case bool(value):
            return f"`{str(value).lower()}`"
        case tuple(names):
            return f"`[{', '.join(names)}]`"
        case value:
            return f"`{value}`"


def _rule(kind: inspect.Type) -> str:
    match bare(kind):
        case inspect.DictType():
            return "a mapping of names"
        case inspect.UnionType(types=(first, *_)):
            return f"{rule(first)}, or null"
        case _:
            return rule(kind)


def _meaning(kind: inspect.Type) -> str:
    assert isinstance(kind, inspect.Metadata)
    assert kind.extra_json_schema is not None
    return str(kind.extra_json_schema["description"])


if __name__ == "__main__":
    print(config_table())  # noqa: T201 - printing is what it is run for
