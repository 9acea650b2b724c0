"""`python -m cli`: the command line of this source tree and interpreter."""

from cli import main

main(prog_name="pricebook")
