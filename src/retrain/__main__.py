"""`python -m retrain` is the same as `retrain`."""

from retrain.cli.main import main

main()
