"""The HTTP service: routes that translate, and decide nothing."""
