"""The edge where pydantic's complaints become ours: plain words, the place in the file, and the mend."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.document import Document, Loc, in_order, quoted

_TYPES = {
    "bool_type": "be true or false",
    "tuple_type": "be a list",
    "model_type": "be a mapping",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a validator found: about its own value, or about the one ``at`` a way further down."""

    what: str
    mend: str = ""
    at: Loc = ()
    of_key: bool = False
    """point at the key there, not at its value"""


class Strict(BaseModel):
    """A mapping people write: no unknown keys, and no key without a value (a template's empty variable is not 'absent')."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _values_given(cls, data: object) -> object:
        if not isinstance(data, dict) or None not in data.values():  # nearly always
            return data
        faults = []
        for key in (key for key, value in data.items() if value is None):
            required = key in cls.model_fields and cls.model_fields[key].is_required()
            mend = "give it one" if required else "give it one, or remove the key"
            faults.append(Fault(f"key {quoted(key)} has no value", mend, (key,), of_key=True))
        raise refused(*faults)


Model = TypeVar("Model", bound=Strict)


def refused(*faults: Fault) -> PydanticCustomError:
    """The exception by which a validator names faults in full sentences."""
    return PydanticCustomError("refused", "refused", {"faults": faults})


def must(be: str, mend: str = "") -> PydanticCustomError:
    """The exception by which a field's validator says what its value must ``be``; key and value found are added here."""
    return PydanticCustomError("must", "must", {"be": be, "mend": mend})


def validated(model: type[Model], document: Document, context: object = None) -> Model:
    """The document as a ``model``; `BadInput` with every problem, in the order of their places. Validators see ``context``."""
    try:
        return model.model_validate(document.value, context=context)
    except ValidationError as error:
        raise BadInput(in_order(problems_of(error, document, model))) from None


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> Iterator[Problem]:
    """Pydantic's complaints about a document, in our words."""
    for detail in error.errors(include_url=False):
        yield from _problems(detail, document, model)


def _problems(detail: ErrorDetails, document: Document, model: type[BaseModel]) -> Iterator[Problem]:
    loc, kind, value, context = detail["loc"], detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "refused":
        for fault in context["faults"]:
            yield document.problem((*loc, *fault.at), fault.what, fault.mend, of_key=fault.of_key)
    elif kind == "extra_forbidden":
        known = _keys(model, loc[:-1])
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        mend = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        yield document.problem(loc, f"unknown key {quoted(str(loc[-1]))}{_inside(document, loc)}", mend, of_key=True)
    elif kind == "missing":
        yield document.problem(loc[:-1], f"missing key '{loc[-1]}'{_inside(document, loc)}", "add it")
    elif kind == "must" or kind in _TYPES:
        be = context["be"] if kind == "must" else _TYPES[kind]
        mend = (
            f"write [{value}]"
            if kind == "tuple_type" and isinstance(value, str) and re.fullmatch("[^\\s,]{1,60}", value)
            else context.get("mend", "")
        )
        yield document.problem(loc, f"{_named(document, loc)} must {be}, found {_found(value)}", mend)
    else:
        yield document.problem(loc, f"{_named(document, loc)}: {detail['msg']}")


def _inside(document: Document, loc: Loc) -> str:
    where = document.describe(loc[:-1])
    return f" in {where}" if where else ""


def _named(document: Document, loc: Loc) -> str:
    if not loc:
        return document.title or "the file"
    if isinstance(loc[-1], int):
        return f"item {loc[-1] + 1} of {_named(document, loc[:-1])}"
    return f"'{loc[-1]}'"


def _found(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    return "nothing" if value is None else "a mapping" if isinstance(value, dict) else "a list"


def _keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys a mapping at ``loc`` may have."""
    for part in loc:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
