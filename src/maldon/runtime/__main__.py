"""`python -m maldon.runtime` is `maldon`."""

from maldon.runtime.cli import main

main()
