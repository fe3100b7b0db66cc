"""The outermost texts of a YAML file, for who has no time for the rest of it."""

from pathlib import Path

import yaml

_SIZE_LIMIT = 1 << 20
"""bytes"""
_NO_TEXT = ("true", "false", "null", "~", "")


def outermost_texts(path: Path) -> dict[str, str]:
    """The texts that stand in the outermost mapping, as `document` would understand them, in a quarter of its time.

    Nothing where the file cannot be read, or where it takes more than a glance: a second document, tags, anchors, a key that is there
    twice. What is wrong with it is for that room to say.
    """
    keys_and_values: list[str | None] = []
    depth = documents = 0
    try:
        with path.open("rb") as file:
            raw = file.read(_SIZE_LIMIT + 1)
        for event in yaml.parse(raw.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            documents += isinstance(event, yaml.DocumentStartEvent)
            if documents > 1 or getattr(event, "anchor", None) or getattr(event, "tag", None):
                return {}
            if isinstance(event, yaml.NodeEvent) and depth == 0 and not isinstance(event, yaml.MappingStartEvent):
                return {}
            if isinstance(event, yaml.NodeEvent) and depth == 1:
                is_text = isinstance(event, yaml.ScalarEvent) and (event.style or event.value not in _NO_TEXT)
                keys_and_values.append(getattr(event, "value", None) if is_text else None)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
    except (OSError, ValueError, OverflowError, yaml.YAMLError):
        return {}
    keys, values = keys_and_values[::2], keys_and_values[1::2]
    said = dict(zip(keys, values, strict=True)) if len(raw) <= _SIZE_LIMIT and len(set(keys)) == len(keys) else {}
    return {key: value for key, value in said.items() if key is not None and value is not None}
