"""Problem details after RFC 9457."""

from pydantic import BaseModel, Field, JsonValue

__all__ = ["FieldError", "Problem"]


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(
        description="where the value is, such as body.recency_7 or body.passengers.3.id"
    )
    code: str = Field(description="kind of error, for programs", examples=["too_large"])
    message: str = Field(description="what was expected, for people")
    value: JsonValue = Field(
        default=None,
        description="what was sent, as JSON; as text if it is long or cannot be JSON, such as NaN; "
        "left out if nothing was",
    )
    bounds: dict[str, float] = Field(
        default_factory=dict,
        description="the limit that was exceeded, named as in JSON Schema: minimum, "
        "exclusiveMinimum, maximum or exclusiveMaximum",
    )


class Problem(BaseModel):
    """Problem details after RFC 9457, sent as application/problem+json."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list, description="of a 422")
    reasons: list[str] = Field(default_factory=list, description="of `/ready`")
