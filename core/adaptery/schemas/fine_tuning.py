"""Requests of OpenAI's fine-tuning API.

What OpenAI has no field for (`lora_rank` and every other option of the task, `task` itself) comes
beside its fields, as `extra_body` of its clients sends it. Nulls count as absent.

Source: OpenAI API reference, fine-tuning.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adaptery.schemas.chat_messages import Lenient
from adaptery.schemas.jobs import METADATA_LIMIT, OPTIONS_LIMIT, Metadata, OptionValue

__all__ = ["FineTuningRequest", "Hyperparameters", "Method", "MethodKind"]

NAME_CHARACTERS = 400
SUFFIX_CHARACTERS = 64

MethodKind = Literal["supervised", "dpo", "reinforcement"]
Auto = Literal["auto"]
FileText = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]


class Hyperparameters(Lenient):
    """What decides how training goes; `auto` and null leave it to the task."""

    n_epochs: Annotated[float, Field(gt=0, le=1000)] | Auto | None = None
    batch_size: Annotated[int, Field(ge=1, le=1024)] | Auto | None = None
    learning_rate_multiplier: Annotated[float, Field(gt=0, le=1000)] | Auto | None = None
    beta: Annotated[float, Field(gt=0, le=100)] | Auto | None = None


class _Settings(Lenient):
    hyperparameters: Hyperparameters | None = None


class Method(Lenient):
    """How a job learns."""

    type: MethodKind
    supervised: _Settings | None = None
    dpo: _Settings | None = None

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What is said about this method."""
        settings = {"supervised": self.supervised, "dpo": self.dpo}.get(self.type)
        return (settings and settings.hyperparameters) or Hyperparameters()


class FineTuningRequest(BaseModel):
    """A fine-tuning job."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]
    training_file: FileText
    validation_file: FileText | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=SUFFIX_CHARACTERS)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = Field(
        default=None, description="OpenAI's form of 2023, of the method `supervised`"
    )
    integrations: list[object] | None = Field(default=None, max_length=64)
    metadata: Metadata | None = Field(default=None, max_length=METADATA_LIMIT)
    task: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="ours: the task, where it is not the one of the method"
    )

    @field_validator("integrations")
    @classmethod
    def _no_integrations(cls, value: list[object] | None) -> list[object] | None:
        if value:
            raise ValueError("are not offered: an administrator can connect ClearML; leave it out")
        return value

    @property
    def settings(self) -> Hyperparameters:
        """What is said about training, in the new form or the old one."""
        told = self.method.hyperparameters if self.method is not None else None
        return told or self.hyperparameters or Hyperparameters()

    @property
    def options(self) -> dict[str, OptionValue]:
        """What was sent beside OpenAI's fields: options of the task, which checks them.

        Raises:
            ValueError: there are too many, or one has a value that no option has.
        """
        sent = {
            name: value for name, value in (self.model_extra or {}).items() if value is not None
        }
        if len(sent) > OPTIONS_LIMIT:
            raise ValueError(f"there are more than {OPTIONS_LIMIT} of them")
        for name, value in sent.items():
            words = isinstance(value, list) and all(
                isinstance(word, str) for word in cast("list[object]", value)
            )
            if not (words or isinstance(value, int | float | str | bool)):
                raise ValueError(f"{name[:64]} has a value that no option has")
        return cast("dict[str, OptionValue]", sent)
