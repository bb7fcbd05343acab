"""`python -m shared.cli`: the command without its installed script."""

from shared.cli import main

main()
