"""`python -m ernn` is `ernn`."""

from ernn.cli import main

main()
