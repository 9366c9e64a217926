"""Problem details after RFC 9457."""

from pydantic import BaseModel, Field

__all__ = ["FieldError", "Problem"]


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="where it is, as in body.recency_7 or body.passengers.3.id")
    value: str = Field(description="what stood there")
    message: str = Field(description="what was expected")


class Problem(BaseModel):
    """Problem details after RFC 9457, sent as application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list, description="of a 422")
    reasons: list[str] = Field(default_factory=list, description="of `/ready`")
