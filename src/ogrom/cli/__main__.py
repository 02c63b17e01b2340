"""`python -m ogrom.cli`: the commands where no script is on PATH."""

from ogrom.cli import main

if __name__ == "__main__":
    main(prog_name="ogrom")
