"""The recipe of a merged version: which versions, what of each, in what order.

It is part of the content digest and of the signed manifest, so it names everything that decides
what the version holds, and nothing that may change.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from adaptery.records import Kind
from adaptery.schemas.common import DigestText, Model
from adaptery.schemas.lineage import MergeFilter

RECIPE_NAME = "recipe.json"


class RecipeSource(Model):
    """One version and what is taken of it."""

    version: str
    dataset: str
    content_digest: DigestText
    split_digest: DigestText | None = None
    filter: MergeFilter | None = None
    sample: int | None = None
    weight: float = 1
    seed: int = 0


class Recipe(Model):
    """How a merged version is made."""

    recipe_version: Literal[1] = 1
    kind: Kind | None = None
    sources: tuple[RecipeSource, ...] = Field(min_length=1)

    def to_json(self) -> dict[str, Any]:
        """Return it as the plain JSON that is hashed and signed."""
        return self.model_dump(mode="json", exclude_none=True)
