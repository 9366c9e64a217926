"""The HTTP service and its pages: routes, access, the loaded models; it decides nothing."""
