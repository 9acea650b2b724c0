"""`python -m graph.cli`: the command line of this very source tree and interpreter."""

from graph.cli import main

main(prog_name="pricebook")
