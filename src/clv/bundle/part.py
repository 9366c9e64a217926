"""What every part of a manifest is: frozen, strict, without numbers that JSON does not have."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Part"]


class Part(BaseModel):
    """A part of the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
