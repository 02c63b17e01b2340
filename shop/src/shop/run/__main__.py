"""`python -m shop.run`: the shop's command line."""

from shop.run.cli import main

main(prog_name="shop")
