"""`python -m veriscale`."""

from veriscale.cli.main import main

main()
