"""The shop of the commands' tests: real processes, real databases."""

from tests.acceptance.cli.conftest import open_shop, shop

__all__ = ["open_shop", "shop"]
