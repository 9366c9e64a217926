"""`python -m clv` is `clv`."""

from clv.cli import main

main()
