"""The pages: what people see of the service, in a browser and without anything from elsewhere.

Templates are filled here, plain scripts ask the same API as everybody, and each page says by its
Content-Security-Policy that nothing else may be loaded or run.
"""

from clv.service.pages.refusals import refused_page
from clv.service.pages.routes import router

__all__ = ["refused_page", "router"]
