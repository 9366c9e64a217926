"""What the OpenAPI document promises, against a real server, with and without keys."""

from pathlib import Path
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.openapi import from_dict
from clv.service.app import create_api
from clv.settings import Settings

from support.server import Server, serving

schema = from_dict(create_api(Settings(home=Path("nowhere"))).openapi())


@schema.parametrize()
@settings(max_examples=30)
def test_x(case, server):
    case.call_and_validate(base_url=server.url)
