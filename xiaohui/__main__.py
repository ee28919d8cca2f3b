"""`python -m xiaohui`."""

from xiaohui.cli import main

if __name__ == "__main__":
    main()
